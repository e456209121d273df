import { crc32 } from 'node:zlib'
import { FORMAT_VERSION, HEADER_BYTES, MAGIC, SAMPLE_EVERY, SEPARATOR } from './index-format.ts'
import { type BackwardIndex, maximalSpans, type Rows } from './maximal-spans.ts'
import { ProvenanceError } from './provenance-error.ts'
import type { ProvenanceSpan } from './provenance-span.ts'

export interface SpanOptions {
  /** Shortest span, bytes, >= 1. */
  minLength: number
  /** Most owners named per span, >= 0. */
  maxOwners: number
  /** Deleted rows: they are never named, and a span exists only if a live row holds it. `count` goes on counting them. */
  deleted?: Tombstones | undefined
}

/** Deleted rows of one index; made by its `tombstones`. */
export interface Tombstones {
  /** Rows of this index that are deleted, and their UTF-8 bytes: past 5% of `corpusBytes` it is time to build anew. */
  readonly rows: number
  readonly bytes: number
  /** By the index's own row numbers: bit n & 7 of byte n >> 3. */
  readonly bitmap: Uint8Array
}

export interface ProvenanceIndex {
  readonly rowCount: number
  /** Sum of the rows' UTF-8 bytes. */
  readonly corpusBytes: number
  /** All maximal spans of the query, ascending by start. */
  spans(query: Uint8Array, options: SpanOptions): ProvenanceSpan[]
  /** Positions at which the pattern occurs, in all rows; the pattern must not be empty. */
  count(pattern: Uint8Array): number
  /** The rows of this index among the deleted ids; other ids are another shard's and are passed over. */
  tombstones(ids: Iterable<string>): Tombstones
}

/** Opens the bytes of an index file, or throws INDEX_FOREIGN, INDEX_NEWER, INDEX_TRUNCATED or INDEX_CORRUPT. */
export function openIndex(file: Uint8Array): ProvenanceIndex {
  // A Buffer's slice is a view of its pool; a plain Uint8Array's is a copy, which the word arrays below need.
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const magic = bytes.subarray(0, MAGIC.length)
  if (magic.some((byte, i) => byte !== MAGIC[i])) throw new ProvenanceError('INDEX_FOREIGN', 'not a provenance index')
  if (bytes.length < HEADER_BYTES) throw new ProvenanceError('INDEX_TRUNCATED', 'the header is cut')
  const version = view.getUint32(8, true)
  if (version > FORMAT_VERSION)
    throw new ProvenanceError('INDEX_NEWER', `format ${version}, this code reads ${FORMAT_VERSION}`)
  if (crc32(bytes.subarray(0, HEADER_BYTES - 4)) !== view.getUint32(HEADER_BYTES - 4, true)) {
    throw new ProvenanceError('INDEX_CORRUPT', 'header checksum')
  }
  const [rowCount, n, idBytes, bodyBytes] = [12, 16, 20, 24].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ]
  if (bytes.length < HEADER_BYTES + bodyBytes)
    throw new ProvenanceError('INDEX_TRUNCATED', `${bytes.length} of ${HEADER_BYTES + bodyBytes} bytes`)
  const body = bytes.slice(HEADER_BYTES)
  if (body.length !== bodyBytes || crc32(body) !== view.getUint32(28, true))
    throw new ProvenanceError('INDEX_CORRUPT', 'body checksum')
  const sampleCount = Math.ceil(n / SAMPLE_EVERY)
  const bwt = body.subarray(0, n)
  const words = new Uint32Array(body.slice(n, n + 4 * (sampleCount + 2 * rowCount)).buffer)
  const ids = JSON.parse(new TextDecoder().decode(body.subarray(body.length - idBytes))) as string[]
  const startRows = words.subarray(sampleCount, sampleCount + rowCount)
  return new PlainIndex(bwt, words.subarray(0, sampleCount), startRows, words.subarray(sampleCount + rowCount), ids)
}

const BLOCK = 256

class PlainIndex implements ProvenanceIndex, BackwardIndex {
  readonly rowCount: number
  readonly corpusBytes: number
  readonly #bwt: Uint8Array
  readonly #samples: Uint32Array
  readonly #startRows: Uint32Array
  readonly #lengths: Uint32Array
  readonly #ids: string[]
  readonly #before = new Float64Array(256) // suffixes that begin with a smaller byte
  readonly #blocks: Uint32Array

  constructor(bwt: Uint8Array, samples: Uint32Array, startRows: Uint32Array, lengths: Uint32Array, ids: string[]) {
    this.#bwt = bwt
    this.#samples = samples
    this.#startRows = startRows
    this.#lengths = lengths
    this.#ids = ids
    this.rowCount = bwt.length
    this.corpusBytes = bwt.length - ids.length
    this.#blocks = new Uint32Array((Math.floor(bwt.length / BLOCK) + 1) * 256)
    const running = new Uint32Array(256)
    for (let i = 0; i <= bwt.length; i++) {
      if (i % BLOCK === 0) this.#blocks.set(running, (i / BLOCK) * 256)
      if (i < bwt.length) running[bwt[i]!]!++
    }
    for (let c = 1; c < 256; c++) this.#before[c] = this.#before[c - 1]! + running[c - 1]!
  }

  #rank(byte: number, row: number): number {
    const block = Math.floor(row / BLOCK)
    let rank = this.#blocks[block * 256 + byte]!
    for (let i = block * BLOCK; i < row; i++) if (this.#bwt[i] === byte) rank++
    return rank
  }

  extend(rows: Rows, byte: number): boolean {
    if (byte === SEPARATOR) rows.hi = rows.lo
    else {
      rows.lo = this.#before[byte]! + this.#rank(byte, rows.lo)
      rows.hi = this.#before[byte]! + this.#rank(byte, rows.hi)
    }
    return rows.hi > rows.lo
  }

  #rowAt(suffix: number): number {
    for (let at = suffix; ; ) {
      if (at % SAMPLE_EVERY === 0) return this.#samples[at / SAMPLE_EVERY]!
      const byte = this.#bwt[at]!
      const rank = this.#rank(byte, at)
      if (byte === SEPARATOR) return this.#startRows[rank]!
      at = this.#before[byte]! + rank
    }
  }

  count(pattern: Uint8Array): number {
    if (pattern.length === 0) throw new ProvenanceError('BAD_QUERY', 'the pattern is empty')
    const rows = { lo: 0, hi: this.rowCount }
    for (let i = pattern.length - 1; i >= 0; i--) if (!this.extend(rows, pattern[i]!)) return 0
    return rows.hi - rows.lo
  }

  spans(query: Uint8Array, { minLength, maxOwners, deleted }: SpanOptions): ProvenanceSpan[] {
    if (!Number.isInteger(minLength) || minLength < 1)
      throw new ProvenanceError('BAD_QUERY', 'minLength must be a positive integer')
    if (!Number.isInteger(maxOwners) || maxOwners < 0)
      throw new ProvenanceError('BAD_QUERY', 'maxOwners must be an integer >= 0')
    const owners = ({ lo, hi }: Rows) => {
      const numbers = new Set<number>()
      for (let r = lo; r < hi; r++) numbers.add(this.#rowAt(r))
      const live = [...numbers].filter((n) => !deleted || !((deleted.bitmap[n >> 3]! >> (n & 7)) & 1))
      return live.map((number) => this.#ids[number]!)
    }
    const index: BackwardIndex = deleted?.rows
      ? { rowCount: this.rowCount, extend: (r, b) => this.extend(r, b), isLive: (r) => owners(r).length > 0 }
      : this
    return maximalSpans(index, query, minLength).map((span) => {
      const all = owners(span).sort()
      return { start: span.start, end: span.end, owners: all.slice(0, maxOwners), ownerCount: all.length }
    })
  }

  tombstones(ids: Iterable<string>): Tombstones {
    const bitmap = new Uint8Array((this.#ids.length + 7) >> 3)
    const gone = new Set(ids)
    let [rows, bytes] = [0, 0]
    for (const [n, id] of this.#ids.entries()) {
      if (!gone.has(id)) continue
      bitmap[n >> 3]! |= 1 << (n & 7)
      rows++
      bytes += this.#lengths[n]!
    }
    return { rows, bytes, bitmap }
  }
}
