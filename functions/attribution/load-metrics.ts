import type { Loads } from './search-shards.ts'

/**
 * Loads of one search as CloudWatch metrics, in the embedded metric format: a log line that names its own metrics
 * (Amazon CloudWatch User Guide, "Specification: Embedded metric format").
 */
export const loadMetrics = (loads: Loads, at: Date): object => ({
  _aws: {
    Timestamp: at.getTime(),
    CloudWatchMetrics: [
      {
        Namespace: 'OpenLedger/Provenance',
        Dimensions: [[]],
        Metrics: [
          { Name: 'ShardsAsked', Unit: 'Count' },
          { Name: 'ShardsRuledOut', Unit: 'Count' },
          { Name: 'ShardLoads', Unit: 'Count' },
          { Name: 'ShardLoadBytes', Unit: 'Bytes' },
          { Name: 'ShardLoadSeconds', Unit: 'Seconds' },
        ],
      },
    ],
  },
  ShardsAsked: loads.shards,
  ShardsRuledOut: loads.ruledOut,
  ShardLoads: loads.loaded,
  ShardLoadBytes: loads.loadedBytes,
  ShardLoadSeconds: loads.loadSeconds,
})
