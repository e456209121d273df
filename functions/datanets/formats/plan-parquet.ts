import { type FileMetaData, parquetMetadataAsync, parquetSchema } from 'hyparquet'
import type { Limits } from './limits.ts'
import { type ByteSource, READABLE_CODECS } from './parquet-source.ts'
import { UploadRefused } from './refusals.ts'

/** Row groups that one chunk reads. `start` and `end` are the bytes of those groups in the upload. */
export interface ParquetRange {
  rowStart: number
  rowEnd: number
  start: number
  end: number
}
export interface ParquetPlan {
  columns: string[]
  rows: number
  ranges: ParquetRange[]
}

const CONTENT_COLUMNS = ['text', 'messages', 'conversations', 'prompt', 'completion', 'instruction', 'input', 'output']
const SHAPES = [['text'], ['messages'], ['conversations'], ['prompt', 'completion'], ['instruction', 'output']]

/** Reads the footer alone and says which rows each chunk takes. Throws UploadRefused for what cannot or must not be read. */
export const planParquet = async (source: ByteSource, limits: Limits): Promise<ParquetPlan> => {
  await checkFrame(source)
  let metadata: FileMetaData
  let names: string[]
  try {
    metadata = await parquetMetadataAsync(source)
    names = parquetSchema(metadata).children.map(({ element }) => element.name)
  } catch (cause) {
    throw new UploadRefused('malformed-parquet', `The footer cannot be read: ${(cause as Error).message}`)
  }
  if (names.length > limits.maxColumns)
    throw new UploadRefused('too-many-columns', `${names.length} columns; at most ${limits.maxColumns} are taken.`)
  const columns = CONTENT_COLUMNS.filter((name) => names.includes(name))
  if (!SHAPES.some((shape) => shape.every((name) => columns.includes(name))))
    throw new UploadRefused(
      'wrong-shape',
      `The columns are ${names.join(', ').slice(0, 200)}; none of the shapes fits.`,
    )
  const ranges = rangesOf(metadata, source.byteLength, limits)
  return { columns, rows: ranges.at(-1)?.rowEnd ?? 0, ranges }
}

/** "PAR1" at both ends, and a footer length that fits (parquet-format, "File format"). */
const checkFrame = async (source: ByteSource): Promise<void> => {
  const cut = () => new UploadRefused('truncated-parquet')
  if (source.byteLength < 12) throw cut()
  const tail = Buffer.from(await source.slice(source.byteLength - 8, source.byteLength))
  if (tail.toString('latin1', 4) !== 'PAR1' || tail.readUInt32LE(0) > source.byteLength - 12) throw cut()
}

const rangesOf = (metadata: FileMetaData, bytes: number, limits: Limits): ParquetRange[] => {
  const ranges: ParquetRange[] = []
  let row = 0
  let expanded = 0
  for (const group of metadata.row_groups) {
    const extent = extentOf(group, bytes, limits)
    const rows = Number(group.num_rows)
    if (!Number.isSafeInteger(rows) || rows < 0)
      throw new UploadRefused('malformed-parquet', 'A row count is negative.')
    const range = { rowStart: row, rowEnd: row + rows, start: extent.start, end: extent.end }
    row += rows
    if (row > limits.maxRows) throw new UploadRefused('too-many-rows', `More than ${limits.maxRows} rows.`)
    const last = ranges.at(-1)
    expanded += extent.expanded
    if (last && expanded <= limits.chunkBytes) {
      last.rowEnd = range.rowEnd
      last.start = Math.min(last.start, range.start)
      last.end = Math.max(last.end, range.end)
    } else {
      ranges.push(range)
      expanded = extent.expanded
    }
  }
  return ranges
}

const extentOf = (group: FileMetaData['row_groups'][number], bytes: number, limits: Limits) => {
  let start = bytes
  let end = 0
  let packed = 0
  let expanded = 0
  for (const { meta_data: column } of group.columns) {
    if (!column) throw new UploadRefused('malformed-parquet', 'A column lies in another file.')
    if (!READABLE_CODECS.includes(column.codec))
      throw new UploadRefused(
        'unsupported-compression',
        `Codec ${column.codec}; read are ${READABLE_CODECS.join(', ')}.`,
      )
    const from = Number(column.dictionary_page_offset || column.data_page_offset)
    const size = Number(column.total_compressed_size)
    if (from < 4 || size < 0 || from + size > bytes - 8)
      throw new UploadRefused('truncated-parquet', 'A column runs past the end.')
    start = Math.min(start, from)
    end = Math.max(end, from + size)
    packed += size
    expanded += Number(column.total_uncompressed_size)
  }
  if (expanded > limits.maxRowGroupBytes || expanded > packed * limits.maxExpansion)
    throw new UploadRefused('parquet-bomb', `A row group of ${packed} bytes expands to ${expanded}.`)
  return { start, end, expanded }
}
