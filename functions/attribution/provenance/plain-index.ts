import { SEPARATOR } from './index-format.ts'
import { type BackwardIndex, maximalSpans, type Rows } from './maximal-spans.ts'
import type { IndexRow, ProvenanceSpan } from './provenance-span.ts'
import { suffixArray } from './suffix-array.ts'

const BLOCK = 256

/**
 * The engine in readable form: the same method as the kernel, uncompressed and in TypeScript. It stands between brute force,
 * which is too slow for texts of many blocks, and the kernel: the property tests hold all three to each other.
 */
export class PlainIndex implements BackwardIndex {
  readonly rowCount: number // of the sorted suffixes
  readonly #ids: string[]
  readonly #suffixes: Int32Array
  readonly #bwt: Uint8Array
  readonly #starts: number[] = []
  readonly #before = new Float64Array(256) // suffixes that begin with a smaller byte
  readonly #blocks: Uint32Array

  constructor(rows: readonly IndexRow[]) {
    this.#ids = rows.map(({ id }) => id)
    const text = Buffer.concat(rows.flatMap((row) => [Buffer.from(row.text), Buffer.of(SEPARATOR)]))
    for (let at = 0; at < text.length; at = text.indexOf(SEPARATOR, at) + 1) this.#starts.push(at)
    this.#suffixes = suffixArray(text, 256)
    this.#bwt = Uint8Array.from(this.#suffixes, (p) => (p === 0 ? SEPARATOR : text[p - 1]!))
    this.rowCount = text.length
    this.#blocks = new Uint32Array((Math.floor(text.length / BLOCK) + 1) * 256)
    const running = new Uint32Array(256)
    for (let i = 0; i <= text.length; i++) {
      if (i % BLOCK === 0) this.#blocks.set(running, (i / BLOCK) * 256)
      if (i < text.length) running[this.#bwt[i]!]!++
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

  #holder(suffix: number): number {
    const position = this.#suffixes[suffix]!
    let [low, high] = [0, this.#starts.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#starts[middle]! <= position) low = middle
      else high = middle - 1
    }
    return low
  }

  count(pattern: Uint8Array): number {
    const rows = { lo: 0, hi: this.rowCount }
    for (let i = pattern.length - 1; i >= 0; i--) if (!this.extend(rows, pattern[i]!)) return 0
    return rows.hi - rows.lo
  }

  spans(query: Uint8Array, minLength: number, deleted: ReadonlySet<string> = new Set()): ProvenanceSpan[] {
    const owners = ({ lo, hi }: Rows) => {
      const numbers = new Set<number>()
      for (let r = lo; r < hi; r++) numbers.add(this.#holder(r))
      return [...numbers].map((number) => this.#ids[number]!).filter((id) => !deleted.has(id))
    }
    const isLive = ({ lo, hi }: Rows) => {
      for (let r = lo; r < hi; r++) if (!deleted.has(this.#ids[this.#holder(r)]!)) return true
      return false
    }
    const index: BackwardIndex =
      deleted.size > 0 ? { rowCount: this.rowCount, extend: (r, b) => this.extend(r, b), isLive } : this
    return maximalSpans(index, query, minLength).map((span) => {
      const all = owners(span).sort()
      return { start: span.start, end: span.end, owners: all, ownerCount: all.length }
    })
  }
}
