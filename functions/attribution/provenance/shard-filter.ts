import { crc32 } from 'node:zlib'
import { fuseFilter, fuseSize, holds } from './binary-fuse.ts'
import { ProvenanceError } from './provenance-error.ts'
import type { IndexRow } from './provenance-span.ts'
import { type WindowHash, windowHashes } from './window-hash.ts'

/**
 * A router filter of one shard: which shards may hold a span of an output, without opening them.
 *
 * A row's windows of `window` bytes at every `stride`-th offset are kept in a binary fuse filter. A span of at least
 * stride + window - 1 bytes covers one of them whole, so with stride = floor(m / 2) and window = m - stride + 1 no span of
 * m or more bytes is missed. False positives: 2^-16 a window of the query, so about 3% of 2,200-byte outputs (and more where
 * an output shares a short window with a row, but no whole span). Size: 18 bits a distinct window, about .14 bytes a
 * corpus byte at m = 32, .09 at m = 48.
 */
export interface ShardFilter {
  /** Shorter spans cannot be ruled out. */
  readonly minLength: number
  /** False only if no row of the shard holds `minLength` or more bytes in a row of the query. */
  mayHold(query: Uint8Array, minLength: number): boolean
}

const MAGIC = Uint8Array.of(0x4f, 0x4c, 0x46, 0x49, 0x4c, 0x54, 0x0d, 0x0a) // OLFILT
const FILTER_VERSION = 2
/** Version 2 tells whose it is: 4 bytes more. */
const headerBytes = (version: number): number => (version === 1 ? 36 : 40)

/**
 * The same rows give the same bytes, in any order. `minLength` (>= 8): the shortest span that the filter will be asked for;
 * `shard`: a name that whoever opens it can ask for.
 */
export function buildFilter(rows: Iterable<IndexRow | string>, { minLength = 32, shard = '' } = {}): Uint8Array {
  if (!Number.isInteger(minLength) || minLength < 8)
    throw new ProvenanceError('BAD_QUERY', 'minLength must be an integer of at least 8')
  const stride = Math.floor(minLength / 2)
  const keys: WindowHash = { high: [], low: [] }
  for (const row of rows) {
    const text = typeof row === 'string' ? row : row.text
    windowHashes(Buffer.from(text), minLength - stride + 1, stride, (high, low) => {
      keys.high.push(high)
      keys.low.push(low)
      return false
    })
  }
  const { seed, count, fingerprints } = fuseFilter(keys)
  const body = Buffer.from(fingerprints.buffer, fingerprints.byteOffset, fingerprints.byteLength)
  const header = Buffer.alloc(headerBytes(FILTER_VERSION))
  header.set(MAGIC)
  for (const [i, value] of [FILTER_VERSION, minLength, stride, seed, count, crc32(body), crc32(shard)].entries())
    header.writeUInt32LE(value, 8 + 4 * i)
  header.writeUInt32LE(crc32(header.subarray(0, -4)), header.length - 4)
  return new Uint8Array(Buffer.concat([header, body]))
}

/** Opens a filter's bytes, or throws INDEX_FOREIGN (also where it is not that of `shard`), INDEX_NEWER, INDEX_TRUNCATED or INDEX_CORRUPT. */
export function openFilter(file: Uint8Array, shard?: string): ShardFilter {
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < MAGIC.length || MAGIC.some((byte, i) => bytes[i] !== byte))
    throw new ProvenanceError('INDEX_FOREIGN', 'not a provenance filter')
  if (bytes.length < headerBytes(1)) throw new ProvenanceError('INDEX_TRUNCATED', 'the header is cut')
  const [version, minLength, stride, seed, count, check] = [8, 12, 16, 20, 24, 28].map((at) =>
    view.getUint32(at, true),
  ) as [number, number, number, number, number, number]
  if (version > FILTER_VERSION)
    throw new ProvenanceError('INDEX_NEWER', `filter format ${version}, this code reads ${FILTER_VERSION}`)
  const own = headerBytes(version)
  if (bytes.length < own) throw new ProvenanceError('INDEX_TRUNCATED', 'the header is cut')
  if (crc32(bytes.subarray(0, own - 4)) !== view.getUint32(own - 4, true))
    throw new ProvenanceError('INDEX_CORRUPT', 'header checksum')
  if (version > 1 && shard !== undefined && view.getUint32(32, true) !== crc32(shard))
    throw new ProvenanceError('INDEX_FOREIGN', `not the filter of ${shard}`)
  const body = bytes.slice(own)
  const expected = 2 * fuseSize(count).slots
  if (body.length < expected)
    throw new ProvenanceError('INDEX_TRUNCATED', `${body.length} of ${expected} bytes of the filter`)
  if (body.length !== expected || crc32(body) !== check) throw new ProvenanceError('INDEX_CORRUPT', 'body checksum')
  const filter = { seed, count, fingerprints: new Uint16Array(body.buffer) }
  return {
    minLength,
    mayHold: (query, asked) => {
      if (query.length < asked) return false
      if (asked < minLength) return true
      return windowHashes(query, minLength - stride + 1, 1, (high, low) => holds(filter, high, low))
    },
  }
}
