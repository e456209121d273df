import { crc32 } from 'node:zlib'
import { ProvenanceError } from './provenance-error.ts'

/** "OLPROV" and two bytes that a transfer in text mode would change. */
const MAGIC = Uint8Array.of(0x4f, 0x4c, 0x50, 0x52, 0x4f, 0x56, 0x0d, 0x0a)
const FORMAT_VERSION = 4
export const HEADER_BYTES = 64
/** Ends every row. Never a byte of well-formed UTF-8, so no pattern can cross a row border, and NUL is ordinary text. */
export const SEPARATOR = 0xff
/** The row of every 64th suffix is kept, and that of all 64 where their block is dense (kernel/encode.as). */
export const SAMPLE_EVERY = 64
/** A bit a block of 64 suffixes, in whole words of 64 bits. */
export const denseBytes = (suffixes: number) => 8 * Math.ceil(suffixes / (64 * SAMPLE_EVERY))
/** Text and separators of a shard; sorting takes 5.1 to 7.1 bytes for each (noise takes most), and WebAssembly has 4 GiB. */
export const MAX_SHARD_BYTES = 512 * 1024 * 1024

/**
 * The sections of a file, in this order, after the header: the transformed text (kernel/encode.as), which blocks of suffixes
 * are dense, the rows of sampled suffixes and of suffixes that begin a row (bit-packed row numbers), the rows' lengths in
 * bytes (variable-length integers) and their ids (row-ids.ts). Rows are numbered by id, ascending.
 */
export interface IndexHeader {
  rows: number
  /** Suffixes: bytes of text, and a separator a row. */
  suffixes: number
  /** Bytes of each section. */
  blocks: number
  dense: number
  samples: number
  firsts: number
  lengths: number
  ids: number
}
const FIELDS = ['rows', 'suffixes', 'blocks', 'dense', 'samples', 'firsts', 'lengths', 'ids'] as const

/** Bits of a row number. */
export const bitsOf = (rows: number) => Math.max(1, 32 - Math.clz32(Math.max(rows - 1, 1)))

export const bodyBytes = (header: IndexHeader) =>
  header.blocks + header.dense + header.samples + header.firsts + header.lengths + header.ids

export function writeHeader(to: Uint8Array, fields: IndexHeader, body: Uint8Array): void {
  const header = Buffer.from(to.buffer, to.byteOffset, HEADER_BYTES)
  header.fill(0)
  header.set(MAGIC)
  header.writeUInt32LE(FORMAT_VERSION, 8)
  for (const [i, field] of FIELDS.entries()) header.writeUInt32LE(fields[field], 12 + 4 * i)
  header.writeUInt32LE(crc32(body), HEADER_BYTES - 8)
  header.writeUInt32LE(crc32(header.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4)
}

/** The header's checksum, in which the body's is: it tells a whole file from others of the same size. */
export const checksumOf = (file: Uint8Array): number =>
  new DataView(file.buffer, file.byteOffset).getUint32(HEADER_BYTES - 4, true)

/** Throws INDEX_FOREIGN, INDEX_NEWER, INDEX_TRUNCATED or INDEX_CORRUPT unless the file is whole. */
export function readHeader(file: Uint8Array): IndexHeader {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (file.length < MAGIC.length || MAGIC.some((byte, i) => byte !== file[i]))
    throw new ProvenanceError('INDEX_FOREIGN', 'not a provenance index')
  if (file.length < HEADER_BYTES) throw new ProvenanceError('INDEX_TRUNCATED', 'the header is cut')
  const version = view.getUint32(8, true)
  if (version > FORMAT_VERSION)
    throw new ProvenanceError('INDEX_NEWER', `format ${version}, this code reads ${FORMAT_VERSION}`)
  if (version < FORMAT_VERSION)
    throw new ProvenanceError('INDEX_FOREIGN', `format ${version} is no longer read: build the index anew`)
  if (crc32(file.subarray(0, HEADER_BYTES - 4)) !== checksumOf(file))
    throw new ProvenanceError('INDEX_CORRUPT', 'header checksum')
  const header = Object.fromEntries(
    FIELDS.map((field, i) => [field, view.getUint32(12 + 4 * i, true)]),
  ) as unknown as IndexHeader
  const expected = HEADER_BYTES + bodyBytes(header)
  if (file.length < expected) throw new ProvenanceError('INDEX_TRUNCATED', `${file.length} of ${expected} bytes`)
  if (file.length > expected || crc32(file.subarray(HEADER_BYTES)) !== view.getUint32(HEADER_BYTES - 8, true))
    throw new ProvenanceError('INDEX_CORRUPT', 'body checksum')
  return header
}
