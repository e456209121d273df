import { PERMUTATIONS } from './minhash.ts'

/**
 * signatures.bin: what later commits need to find duplicates of a part's representatives without reading their texts.
 * 16 bytes of header ("OLSIG001", u32 rows, u32 values a signature), then a record a row, little-endian:
 * 12 bytes row id, u32 length and f64 offset of its line in rows.jsonl, f64 sequence, 128 x u32 signature.
 */
const MAGIC = 'OLSIG001'
const HEADER_BYTES = 16
const RECORD_BYTES = 12 + 4 + 8 + 8 + PERMUTATIONS * 4

export interface SignatureRecord {
  id: string
  sequence: number
  /** Byte range of the row's line in rows.jsonl, without its newline. */
  lineStart: number
  lineBytes: number
  signature: Uint32Array
}

export const encodeHeader = (rows: number): Uint8Array => {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write(MAGIC, 'latin1')
  header.writeUInt32LE(rows, 8)
  header.writeUInt32LE(PERMUTATIONS, 12)
  return header
}

/** Rows that the file holds. Throws on anything that is not such a header. */
export const decodeHeader = (bytes: Uint8Array): number => {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (
    header.length < HEADER_BYTES ||
    header.toString('latin1', 0, 8) !== MAGIC ||
    header.readUInt32LE(12) !== PERMUTATIONS
  )
    throw new Error('not a signature file')
  return header.readUInt32LE(8)
}

export const encodeRecord = ({ id, sequence, lineStart, lineBytes, signature }: SignatureRecord): Uint8Array => {
  const record = Buffer.alloc(RECORD_BYTES)
  record.write(id.slice('row_'.length), 0, 12, 'hex')
  record.writeUInt32LE(lineBytes, 12)
  record.writeDoubleLE(lineStart, 16)
  record.writeDoubleLE(sequence, 24)
  for (let index = 0; index < PERMUTATIONS; index++) record.writeUInt32LE(signature[index] as number, 32 + index * 4)
  return record
}

const decodeRecord = (bytes: Uint8Array, offset = 0): SignatureRecord => {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset + offset, RECORD_BYTES)
  const signature = new Uint32Array(PERMUTATIONS)
  for (let index = 0; index < PERMUTATIONS; index++) signature[index] = record.readUInt32LE(32 + index * 4)
  return {
    id: `row_${record.toString('hex', 0, 12)}`,
    lineBytes: record.readUInt32LE(12),
    lineStart: record.readDoubleLE(16),
    sequence: record.readDoubleLE(24),
    signature,
  }
}

/** The records of a stream of signature-file bytes, in pieces of any size. Throws if it ends inside a record. */
export async function* readSignatures(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<SignatureRecord> {
  let rest: Uint8Array = new Uint8Array(0)
  let expected = -1
  for await (const piece of pieces) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    let at = 0
    if (expected < 0 && rest.length >= HEADER_BYTES) {
      expected = decodeHeader(rest)
      at = HEADER_BYTES
    }
    for (; expected > 0 && at + RECORD_BYTES <= rest.length; at += RECORD_BYTES, expected--)
      yield decodeRecord(rest, at)
    rest = rest.subarray(at)
  }
  if (expected !== 0) throw new Error('the signature file is cut')
}
