import { RejectedRow } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import type { ByteSource } from './formats/parquet-source.ts'

/** A line of rejected.jsonl is far below this; so many bytes hold a page. */
const READ_BYTES = 512 * 1024

/** A page of rejected.jsonl. The cursor is the byte offset of the next line. Throws `invalid-request` for any other. */
export const rejectedPage = async (
  file: ByteSource,
  limit: number,
  cursor: string | undefined,
): Promise<{ items: RejectedRow[]; cursor: string | null }> => {
  const from = cursor === undefined ? 0 : /^\d{1,15}$/.test(cursor) ? Number(cursor) : Number.NaN
  if (!(from <= file.byteLength)) throw badCursor()
  const bytes = Buffer.from(await file.slice(from, Math.min(file.byteLength, from + READ_BYTES)))
  const items: RejectedRow[] = []
  let at = 0
  for (let end = bytes.indexOf(0x0a); end >= 0 && items.length < limit; end = bytes.indexOf(0x0a, at)) {
    const row = readRow(bytes.toString('utf8', at, end))
    if (!row) throw badCursor()
    items.push(row)
    at = end + 1
  }
  const next = from + at
  return { items, cursor: next < file.byteLength && items.length > 0 ? String(next) : null }
}

const readRow = (line: string): RejectedRow | undefined => {
  try {
    return RejectedRow.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}

const badCursor = () =>
  new OpenLedgerError('invalid-request', 'cursor: take it unchanged from the page before', { param: 'cursor' })
