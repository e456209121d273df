import type { Chunk } from './chunk-planner.ts'
import type { Limits } from './limits.ts'
import type { ByteSource } from './parquet-source.ts'
import { splitCsv } from './split-csv.ts'
import { splitJsonl } from './split-jsonl.ts'
import { splitParquet } from './split-parquet.ts'
import { splitProse } from './split-prose.ts'
import type { SplitRow } from './split-row.ts'

/** All records of one chunk, in order, each with its content or with the reason why it is refused. */
export async function* splitChunk(chunk: Chunk, source: ByteSource, limits: Limits): AsyncGenerator<SplitRow> {
  if (chunk.parquet) {
    const { columns, rowStart, rowEnd } = chunk.parquet
    yield* splitParquet(source, { rowStart, rowEnd, start: chunk.start, end: chunk.end }, columns, limits)
    return
  }
  const bytes = new Uint8Array(await source.slice(chunk.start, chunk.end))
  if (chunk.csv) yield* splitCsv(bytes, chunk.start, chunk.csv, limits)
  else if (chunk.format === 'jsonl') yield* splitJsonl(bytes, chunk.start, limits)
  else yield* splitProse(bytes, chunk.start, chunk.format === 'markdown', limits)
}
