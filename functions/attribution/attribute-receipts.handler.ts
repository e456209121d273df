import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { queueWorker } from '#runtime/queue-worker.client'
import { AttributionRequested } from '#schema/events'
import { attributeReceipts } from './attribute-receipts.ts'
import { attributionPorts } from './attribution-ports.store.ts'
import { loadMetrics } from './load-metrics.ts'

const env = environment(
  'LEDGER_TABLE',
  'REGISTRY_TABLE',
  'DATA_BUCKET',
  'MODELS_BUCKET',
  'RECEIPTS_BUCKET',
  'SCORING_GIVE_UP_HOURS',
)
const { portsFor } = attributionPorts(
  {
    ledger: env.LEDGER_TABLE,
    registry: env.REGISTRY_TABLE,
    data: env.DATA_BUCKET,
    models: env.MODELS_BUCKET,
    receipts: env.RECEIPTS_BUCKET,
  },
  { now, giveUpMs: Number(env.SCORING_GIVE_UP_HOURS) * 3_600_000 },
  ({ loads, ...what }) => logger.info('provenance searched', { ...what, ...loadMetrics(loads, now()) }),
)

/** Worker of the attribution queue: what fails goes back to the queue, and to its dead letters after five times. */
export const handler = queueWorker(async (event) => {
  const messages = new Map(
    event.Records.map((record) => [AttributionRequested.parse(JSON.parse(record.body)).receiptId, record.messageId]),
  )
  const delivery = Math.max(...event.Records.map(({ attributes }) => Number(attributes.ApproximateReceiveCount)))
  const failed = await attributeReceipts(portsFor(delivery), [...messages.keys()], (receiptIds, error) =>
    logger.error('attribution failed, the receipts stay pending', { receiptIds, error: error as Error }),
  )
  return failed.map((receiptId) => messages.get(receiptId)!)
})
