import { bitsOf, checksumOf, HEADER_BYTES, readHeader, SAMPLE_EVERY } from './index-format.ts'
import { type Kernel, newKernel } from './kernel.ts'
import { ProvenanceError } from './provenance-error.ts'
import type { ProvenanceSpan } from './provenance-span.ts'
import { RowIds, VariableReader } from './row-ids.ts'

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
  /** Rows, live or not. */
  readonly rowCount: number
  /** Sum of the rows' UTF-8 bytes. */
  readonly corpusBytes: number
  /** Of the file (index-format.ts). */
  readonly checksum: number
  /** All maximal spans of the query, ascending by start. Throws BAD_QUERY. */
  spans(query: Uint8Array, options: SpanOptions): ProvenanceSpan[]
  /** Positions at which the pattern occurs, in all rows; the pattern must not be empty. Throws BAD_QUERY. */
  count(pattern: Uint8Array): number
  /** The rows of this index among the deleted ids; other ids are another shard's and are passed over. */
  tombstones(ids: Iterable<string>): Tombstones
}

/** Opens the bytes of an index file, or throws INDEX_FOREIGN, INDEX_NEWER, INDEX_TRUNCATED or INDEX_CORRUPT. */
export function openIndex(file: Uint8Array): ProvenanceIndex {
  return loadIndex(file.length, (memory) => memory.set(file))
}

/** The same without a second copy: `read` fills the index's own memory with the file. */
export function loadIndex(fileBytes: number, read: (memory: Uint8Array) => void): ProvenanceIndex {
  const [kernel, file] = reserveIndex(fileBytes)
  read(file)
  return openKernel(kernel, file)
}

/** The same for parts that arrive in their own time, as range reads do. */
export async function loadIndexAsync(
  fileBytes: number,
  read: (memory: Uint8Array) => Promise<void>,
): Promise<ProvenanceIndex> {
  const [kernel, file] = reserveIndex(fileBytes)
  await read(file)
  return openKernel(kernel, file)
}

function reserveIndex(fileBytes: number): [Kernel, Uint8Array] {
  const kernel = newKernel()
  const at = kernel.reserve(fileBytes + 16) // the last bits are read eight bytes at a time
  return [kernel, new Uint8Array(kernel.memory.buffer, at, fileBytes)]
}

function openKernel(kernel: Kernel, file: Uint8Array): ProvenanceIndex {
  const header = readHeader(file)
  const checksum = checksumOf(file)
  const blocks = file.byteOffset + HEADER_BYTES
  const dense = blocks + header.blocks
  const samples = dense + header.dense
  const firsts = samples + header.samples
  const lengths = firsts + header.firsts - file.byteOffset
  const rowLengths = file.slice(lengths, lengths + header.lengths)
  const ids = new RowIds(file.subarray(lengths + header.lengths), header.rows)
  kernel.openBlocks(blocks, header.suffixes)
  kernel.openRows(dense, Math.ceil(header.suffixes / SAMPLE_EVERY), samples, firsts, bitsOf(header.rows), header.rows)
  kernel.openSpans(header.suffixes)
  return new KernelIndex(kernel, header.suffixes, ids, rowLengths, checksum)
}

class KernelIndex implements ProvenanceIndex {
  readonly rowCount: number
  readonly corpusBytes: number
  readonly checksum: number
  readonly #kernel: Kernel
  readonly #suffixes: number
  readonly #ids: RowIds
  readonly #lengths: Uint8Array
  /** Queries use the memory above. */
  readonly #top: number

  constructor(kernel: Kernel, suffixes: number, ids: RowIds, lengths: Uint8Array, checksum: number) {
    this.#kernel = kernel
    this.#suffixes = suffixes
    this.#ids = ids
    this.#lengths = lengths
    this.#top = kernel.heapTop()
    this.rowCount = ids.count
    this.corpusBytes = suffixes - ids.count
    this.checksum = checksum
  }

  count(pattern: Uint8Array): number {
    if (pattern.length === 0) throw new ProvenanceError('BAD_QUERY', 'the pattern is empty')
    if (this.rowCount === 0) return 0
    const at = this.#copy(pattern)
    const count = this.#kernel.count(this.#suffixes, at, pattern.length)
    this.#kernel.release(this.#top)
    return count
  }

  spans(query: Uint8Array, { minLength, maxOwners, deleted }: SpanOptions): ProvenanceSpan[] {
    if (!Number.isInteger(minLength) || minLength < 1)
      throw new ProvenanceError('BAD_QUERY', 'minLength must be a positive integer')
    if (!Number.isInteger(maxOwners) || maxOwners < 0)
      throw new ProvenanceError('BAD_QUERY', 'maxOwners must be an integer >= 0')
    if (this.rowCount === 0 || query.length < minLength) return []
    const kernel = this.#kernel
    try {
      kernel.useTombstones(deleted?.rows ? this.#copy(deleted.bitmap) : 0)
      const text = this.#copy(query)
      const trail = kernel.heapTop()
      const found = kernel.spans(this.#suffixes, text, query.length, minLength)
      const at = trail + ((8 * (query.length + 1) + 15) & ~15)
      const words = new Int32Array(kernel.memory.buffer, at, 4 * found).slice()
      const spans: ProvenanceSpan[] = []
      // A stretch that stands in the query many times is looked up once.
      const known = new Map<string, Pick<ProvenanceSpan, 'owners' | 'ownerCount'>>()
      for (let i = found - 1; i >= 0; i--) {
        const [start, end, lo, hi] = words.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number]
        const key = `${lo},${hi}`
        let holders = known.get(key)
        if (!holders) {
          const ownerCount = kernel.rowsOf(lo, hi)
          holders = { owners: this.#smallest(ownerCount, maxOwners), ownerCount }
          known.set(key, holders)
        }
        spans.push({ start, end, owners: [...holders.owners], ownerCount: holders.ownerCount })
      }
      return spans
    } finally {
      kernel.useTombstones(0)
      kernel.release(this.#top)
    }
  }

  tombstones(ids: Iterable<string>): Tombstones {
    const bitmap = new Uint8Array((this.rowCount + 7) >> 3)
    for (const id of ids) {
      const number = this.#ids.numberOf(id)
      if (number >= 0) bitmap[number >> 3]! |= 1 << (number & 7)
    }
    let [rows, bytes] = [0, 0]
    const reader = new VariableReader(this.#lengths)
    for (let number = 0; number < this.rowCount; number++) {
      const length = reader.number()
      if (!((bitmap[number >> 3]! >> (number & 7)) & 1)) continue
      rows++
      bytes += length
    }
    return { rows, bytes, bitmap }
  }

  /** Rows are numbered by id, so the smallest numbers are the smallest ids. */
  #smallest(count: number, most: number): string[] {
    const numbers = new Uint32Array(this.#kernel.memory.buffer, this.#kernel.rowList(), count)
    return Array.from(numbers.slice().sort().subarray(0, most), (number) => this.#ids.id(number))
  }

  #copy(bytes: Uint8Array): number {
    const at = this.#kernel.reserve(bytes.length)
    new Uint8Array(this.#kernel.memory.buffer).set(bytes, at)
    return at
  }
}
