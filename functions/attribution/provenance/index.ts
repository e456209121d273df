/** The door of the provenance engine: everything that other files may use. */
export { type BuildOptions, buildIndex, IndexBuilder } from './build-index.ts'
export { IdSet } from './id-set.ts'
export { checksumOf } from './index-format.ts'
export { type ByteSpan, type Range, toCodePoints, toTokens, toUtf16 } from './map-spans.ts'
export { mergeSpans } from './merge-spans.ts'
export {
  loadIndex,
  loadIndexAsync,
  openIndex,
  type ProvenanceIndex,
  type SpanOptions,
  type Tombstones,
} from './open-index.ts'
export { ProvenanceError, type ProvenanceErrorCode } from './provenance-error.ts'
export type { IndexRow, ProvenanceSpan } from './provenance-span.ts'
export { buildFilter, openFilter, type ShardFilter } from './shard-filter.ts'
