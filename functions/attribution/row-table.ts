import { crc32 } from 'node:zlib'
import { OpenLedgerError } from '#schema/errors'

export interface ShelfRow {
  cluster: string
  contributor: string
  /** Place in the registry's order. */
  sequence: number
}
interface TableRow {
  id: string
  sequence: number
}

/** "OLROWS" and two bytes that a transfer in text mode would change. */
const MAGIC = Buffer.from('OLROWS\r\n', 'latin1')
const HEADER_BYTES = 32
/** 12 bytes of the row's id, and its sequence less the first one. */
const RECORD_BYTES = 16
const TABLE_VERSION = 2
const CHECKED_FROM = 20
const ID_PREFIX = 'row_'

/**
 * What the rows of one shard mean, beside its index: who is paid for each, and since when. Rows of a part are
 * representatives, each its own cluster, all of one contributor, so 16 bytes a row suffice; sorted by id, looked up by
 * halving, never unpacked. Header: magic, version, rows, crc32 of all that follows (of version 1: of the records), first
 * sequence (f64).
 */
export const encodeRowTable = (rows: readonly TableRow[]): Uint8Array => {
  const first = rows.reduce((least, { sequence }) => Math.min(least, sequence), rows[0]?.sequence ?? 0)
  const records = Buffer.concat(
    rows.map(({ id, sequence }) => {
      const record = Buffer.alloc(RECORD_BYTES)
      record.write(id.slice(ID_PREFIX.length), 'hex')
      record.writeUInt32LE(sequence - first, 12)
      return record
    }),
  )
  const order = Array.from(rows, (_, i) => i).sort((a, b) => (rows[a]!.id < rows[b]!.id ? -1 : 1))
  const sorted = Buffer.concat(order.map((i) => records.subarray(i * RECORD_BYTES, (i + 1) * RECORD_BYTES)))
  const header = Buffer.alloc(HEADER_BYTES)
  header.set(MAGIC)
  header.writeUInt32LE(TABLE_VERSION, 8)
  header.writeUInt32LE(rows.length, 12)
  header.writeDoubleLE(first, 24)
  const table = Buffer.concat([header, sorted])
  table.writeUInt32LE(crc32(table.subarray(CHECKED_FROM)), 16)
  return table
}

export interface RowTable {
  readonly rows: number
  /** Highest sequence of the table; the first one's when it is empty. */
  readonly lastSequence: number
  get(id: string): ShelfRow | undefined
}

/** Throws `conflict` for bytes that are no whole table: they must not pass for "nobody owns this". */
export const openRowTable = (bytes: Uint8Array, contributor: string): RowTable => {
  const table = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const records = table.subarray(HEADER_BYTES)
  const isWhole =
    table.length >= HEADER_BYTES &&
    table.subarray(0, MAGIC.length).equals(MAGIC) &&
    [1, TABLE_VERSION].includes(table.readUInt32LE(8)) &&
    table.readUInt32LE(12) * RECORD_BYTES === records.length &&
    table.readUInt32LE(16) === crc32(table.readUInt32LE(8) === 1 ? records : table.subarray(CHECKED_FROM))
  if (!isWhole) throw new OpenLedgerError('conflict', 'The row table is damaged.')
  const rows = table.readUInt32LE(12)
  const first = table.readDoubleLE(24)
  const sequenceAt = (i: number) => first + records.readUInt32LE(i * RECORD_BYTES + 12)
  let lastSequence = first
  for (let i = 0; i < rows; i++) lastSequence = Math.max(lastSequence, sequenceAt(i))
  return {
    rows,
    lastSequence,
    get: (id) => {
      if (!/^row_[0-9a-f]{24}$/.test(id)) return undefined
      const wanted = Buffer.from(id.slice(ID_PREFIX.length), 'hex')
      let low = 0
      let high = rows
      while (low < high) {
        const middle = (low + high) >> 1
        if (wanted.compare(records, middle * RECORD_BYTES, middle * RECORD_BYTES + 12) > 0) low = middle + 1
        else high = middle
      }
      const at = low * RECORD_BYTES
      if (low === rows || wanted.compare(records, at, at + 12) !== 0) return undefined
      return { cluster: id, contributor, sequence: sequenceAt(low) }
    },
  }
}
