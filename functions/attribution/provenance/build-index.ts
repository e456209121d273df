import { IdSet } from './id-set.ts'
import {
  bitsOf,
  bodyBytes,
  denseBytes,
  HEADER_BYTES,
  MAX_SHARD_BYTES,
  SAMPLE_EVERY,
  SEPARATOR,
  writeHeader,
} from './index-format.ts'
import { type Kernel, newKernel } from './kernel.ts'
import { ProvenanceError } from './provenance-error.ts'
import type { IndexRow } from './provenance-span.ts'
import { encodeIds, VariableBytes } from './row-ids.ts'

export interface BuildOptions {
  /** Ids of earlier shards, which may not come again; this shard's are added. */
  seen?: IdSet
  onProgress?: (stage: 'read' | 'sort' | 'encode') => void
}

/** Indexes rows into one flat file. The same rows in the same order give the same bytes. */
export function buildIndex(rows: Iterable<IndexRow>, options: BuildOptions = {}): Uint8Array {
  const builder = new IndexBuilder(options)
  for (const row of rows) builder.add(row)
  return builder.finish().slice()
}

/**
 * Takes rows one by one and keeps their text once, in the kernel's memory. At the end it holds about 5.1 bytes for every byte
 * of text, and the ids. One builder builds shard after shard in the same memory.
 */
export class IndexBuilder {
  readonly #kernel: Kernel = newKernel()
  readonly #text = this.#kernel.heapTop()
  #ids: string[] = []
  readonly #seen: IdSet
  readonly #progress: NonNullable<BuildOptions['onProgress']>
  /** Where each row begins in the text. */
  #starts = new Uint32Array(1024)
  /** Bytes of text, and a separator a row. */
  #length = 0

  constructor({ onProgress, seen }: BuildOptions = {}) {
    this.#seen = seen ?? new IdSet()
    this.#progress = onProgress ?? (() => {})
    this.#progress('read')
  }

  get rows(): number {
    return this.#ids.length
  }

  /** UTF-8 bytes of all rows so far. */
  get corpusBytes(): number {
    return this.#length - this.#ids.length
  }

  /** Throws ROW_NOT_UNICODE, ROW_REPEATED or SHARD_TOO_LARGE. */
  add({ id, text }: IndexRow): void {
    const number = this.#ids.length + 1
    if (!id.isWellFormed() || !text.isWellFormed())
      throw new ProvenanceError('ROW_NOT_UNICODE', `row ${number}: lone surrogate in id or text`)
    if (this.#seen.has(id))
      throw new ProvenanceError('ROW_REPEATED', `row ${number}: id ${JSON.stringify(id)} is repeated`)
    const bytes = Buffer.byteLength(text)
    if (this.#length + bytes + 1 > MAX_SHARD_BYTES)
      throw new ProvenanceError('SHARD_TOO_LARGE', `more than ${MAX_SHARD_BYTES} bytes`)
    if (number > this.#starts.length) {
      const more = new Uint32Array(2 * this.#starts.length)
      more.set(this.#starts)
      this.#starts = more
    }
    this.#starts[number - 1] = this.#length
    this.#kernel.reserve(bytes + 1)
    this.#kernel.release(this.#text + this.#length + bytes + 1)
    const memory = Buffer.from(this.#kernel.memory.buffer)
    memory.write(text, this.#text + this.#length, bytes, 'utf8')
    memory[this.#text + this.#length + bytes] = SEPARATOR
    this.#length += bytes + 1
    this.#seen.add(id)
    this.#ids.push(id)
  }

  /** Forgets the rows taken, but not their ids. */
  clear(): void {
    this.#ids = []
    this.#length = 0
  }

  /** The file, standing in the kernel's memory until the next row is added: write or copy it. */
  finish(): Uint8Array {
    const [kernel, n, rows] = [this.#kernel, this.#length, this.#ids.length]
    const order = Uint32Array.from({ length: rows }, (_, i) => i).sort((a, b) =>
      this.#ids[a]! < this.#ids[b]! ? -1 : 1,
    )
    const numbers = new Uint32Array(rows)
    const lengths = new VariableBytes()
    for (const [number, row] of order.entries()) {
      numbers[row] = number
      lengths.number((row + 1 < rows ? this.#starts[row + 1]! : n) - this.#starts[row]! - 1)
    }
    const ids = encodeIds(Array.from(order, (row) => this.#ids[row]!))
    kernel.release(this.#text)
    const text = kernel.reserve(n)
    const sampled = Math.ceil(n / SAMPLE_EVERY)
    const at = {
      starts: this.#copy(this.#starts.subarray(0, rows)),
      numbers: this.#copy(numbers),
      firsts: kernel.reserve(4 * rows),
      dense: kernel.reserve(sampled + 64),
      // Dense blocks add a quarter at most, and one block.
      samples: kernel.reserve(5 * sampled + 4 * SAMPLE_EVERY),
    }
    const sa = kernel.reserve(4 * (n + 128))
    this.#progress('sort')
    const samples = kernel.sortAndTransform(text, n, sa, at.starts, rows, at.numbers, at.dense, at.samples, at.firsts)
    this.#progress('encode')
    // The transform stands in the first quarter of sa; the file goes behind it.
    const file = sa + ((n + 15) & ~15)
    kernel.release(file)
    const tail = denseBytes(n) + 8 * (rows + samples) + lengths.written().length + ids.length
    kernel.reserve(HEADER_BYTES + Math.ceil(n * 1.15) + 65_536 + tail)
    const bits = bitsOf(rows)
    const blocks = file + HEADER_BYTES
    const denseAt = kernel.encodeBlocks(sa, n, blocks)
    const samplesAt = denseAt + denseBytes(n)
    new Uint8Array(kernel.memory.buffer).copyWithin(denseAt, at.dense, at.dense + denseBytes(n))
    const firstsAt = kernel.packNumbers(at.samples, samples, bits, samplesAt)
    const end = kernel.packNumbers(at.firsts, rows, bits, firstsAt)
    const memory = new Uint8Array(kernel.memory.buffer)
    memory.set(lengths.written(), end)
    memory.set(ids, end + lengths.written().length)
    const header = {
      rows,
      suffixes: n,
      blocks: denseAt - blocks,
      dense: denseBytes(n),
      samples: firstsAt - samplesAt,
      firsts: end - firstsAt,
      lengths: lengths.written().length,
      ids: ids.length,
    }
    writeHeader(memory.subarray(file), header, memory.subarray(blocks, blocks + bodyBytes(header)))
    kernel.release(this.#text)
    this.clear()
    return memory.subarray(file, blocks + bodyBytes(header))
  }

  #copy(words: Uint32Array): number {
    const at = this.#kernel.reserve(words.byteLength)
    new Uint32Array(this.#kernel.memory.buffer, at, words.length).set(words)
    return at
  }
}
