import { parquetReadObjects } from 'hyparquet'
import { checkContent, decodeUtf8 } from './check-text.ts'
import { contentOf } from './json-shapes.ts'
import type { Limits } from './limits.ts'
import { type ByteSource, boundedCodecs } from './parquet-source.ts'
import type { ParquetRange } from './plan-parquet.ts'
import { UploadRefused } from './refusals.ts'
import { isRefused, type Refused, type RowContent, refused, type SplitRow } from './split-row.ts'

/** Stands for a string whose bytes are not UTF-8, so that one bad cell refuses one row. */
const NOT_UTF8 = Symbol('not UTF-8')

/**
 * Rows of some row groups. Parquet stores columns, so a row has no bytes of its own: `start` and `end` are those of the
 * row groups that the chunk read, and `row` tells the rows in them apart.
 */
export async function* splitParquet(
  source: ByteSource,
  range: ParquetRange,
  columns: string[],
  limits: Limits,
): AsyncGenerator<SplitRow> {
  let records: Record<string, unknown>[]
  try {
    records = await parquetReadObjects({
      file: source,
      columns,
      rowStart: range.rowStart,
      rowEnd: range.rowEnd,
      compressors: boundedCodecs(limits.maxRowGroupBytes),
      parsers: { stringFromBytes: (bytes: Uint8Array | undefined) => bytes && (decodeUtf8(bytes) ?? NOT_UTF8) },
    })
  } catch (cause) {
    if (cause instanceof UploadRefused) throw cause
    throw new UploadRefused(
      'malformed-parquet',
      `Rows ${range.rowStart} to ${range.rowEnd}: ${(cause as Error).message}`,
    )
  }
  for (const [row, record] of records.entries())
    yield { row, start: range.start, end: range.end, ...rowOf(record, limits) }
}

const rowOf = (record: Record<string, unknown>, limits: Limits): { content: RowContent } | Refused => {
  if (holdsBadText(record)) return refused('invalid-utf8', 'A string is not UTF-8.')
  const present = Object.fromEntries(
    Object.entries(record).filter(([, value]) => value !== null && value !== undefined),
  )
  if (Object.keys(present).length === 0) return refused('empty', 'Every cell is null.')
  const content = contentOf(present, limits)
  if (isRefused(content)) return content
  const checked = checkContent(content, limits)
  return isRefused(checked) ? checked : { content: checked }
}

const holdsBadText = (value: unknown): boolean =>
  value === NOT_UTF8 || (typeof value === 'object' && value !== null && Object.values(value).some(holdsBadText))
