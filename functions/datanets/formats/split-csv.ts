import { checkContent, decodeUtf8 } from './check-text.ts'
import { CsvScanner, csvFields } from './csv-records.ts'
import { contentOf } from './json-shapes.ts'
import type { Limits } from './limits.ts'
import { UploadRefused } from './refusals.ts'
import { isRefused, type Refused, type RowContent, refused, type SplitRow } from './split-row.ts'
import { isBlank } from './white-space.ts'

/** What the header says: the columns that make a row's content, by name, and how many fields a record has. */
export interface CsvHeader {
  delimiter: string
  width: number
  columns: Record<string, number>
}

const CONTENT_COLUMNS = ['text', 'prompt', 'completion', 'instruction', 'input', 'output']
const SHAPES = [['text'], ['prompt', 'completion'], ['instruction', 'output']]

/** The header from the first record (without its newline). Throws UploadRefused when no row could be read with it. */
export const csvHeader = (record: Uint8Array, delimiter: string, limits: Limits): CsvHeader => {
  const text = decodeUtf8(record)
  const names = text === undefined ? undefined : csvFields(text, delimiter)
  if (!names) throw new UploadRefused('wrong-shape', 'The first record is not a header: it cannot be read as CSV.')
  if (names.length > limits.maxColumns)
    throw new UploadRefused('too-many-columns', `${names.length} columns; at most ${limits.maxColumns} are taken.`)
  const folded = names.map((name) => name.trim().toLowerCase())
  const columns = Object.fromEntries(
    CONTENT_COLUMNS.filter((name) => folded.includes(name)).map((name) => [name, folded.indexOf(name)]),
  )
  if (!SHAPES.some((shape) => shape.every((name) => name in columns)))
    throw new UploadRefused(
      'wrong-shape',
      'The header needs text, or prompt and completion, or instruction and output.',
    )
  return { delimiter, width: names.length, columns }
}

/** CSV records of one chunk (the header is not in it). Blank records are no rows. */
export function* splitCsv(bytes: Uint8Array, base: number, header: CsvHeader, limits: Limits): Generator<SplitRow> {
  const ends: number[] = []
  new CsvScanner(header.delimiter.charCodeAt(0)).push(bytes, (next) => ends.push(next))
  if (ends.at(-1) !== bytes.length) ends.push(bytes.length + 1)
  let row = 0
  let start = 0
  for (const next of ends) {
    const record = bytes.subarray(start, next - 1)
    if (!isBlank(record)) {
      yield { row, start: base + start, end: base + start + record.length, ...rowOf(record, header, limits) }
      row++
    }
    start = next
  }
}

const rowOf = (record: Uint8Array, header: CsvHeader, limits: Limits): { content: RowContent } | Refused => {
  if (record.length > limits.maxRecordBytes)
    return refused('too-long', `The record has ${record.length} bytes; at most ${limits.maxRecordBytes} are read.`)
  if (record.includes(0)) return refused('nul-bytes', 'The record holds a NUL byte.')
  const text = decodeUtf8(record)
  if (text === undefined) return refused('invalid-utf8', 'The record is not UTF-8.')
  const fields = csvFields(text, header.delimiter)
  if (!fields) return refused('malformed-csv', 'A quoted field does not end before the next delimiter.')
  if (fields.length > limits.maxColumns) return refused('too-many-columns', `${fields.length} fields.`)
  if (fields.length !== header.width)
    return refused('malformed-csv', `${fields.length} fields where the header has ${header.width}.`)
  const content = contentOf(
    Object.fromEntries(Object.entries(header.columns).map(([name, index]) => [name, fields[index]])),
    limits,
  )
  if (isRefused(content)) return content
  const checked = checkContent(content, limits)
  return isRefused(checked) ? checked : { content: checked }
}
