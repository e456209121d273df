import { PERMUTATIONS } from './minhash.ts'

/**
 * Locality-sensitive hashing by bands (Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4): two rows are
 * candidates if all 6 values of one of 21 bands agree. A pair of similarity 0.8 is found with probability 0.998, one
 * of 0.9 with 0.9999999, one of 0.3 in 1.5% of cases.
 */
const BANDS = 21
const BAND_VALUES = 6
/**
 * Rows that one band of a lookup yields at most, the earliest first. A near-duplicate agrees in most bands; only rows
 * made to crowd a band (the permutations are public) come near this, and they must not make the work quadratic.
 */
const MOST_IN_BAND = 512

/** Rows by band, in flat arrays: 84 bytes a row and band table, no object a row. Rows are added in ascending order. */
export class BandIndex {
  private readonly signatures: Uint32Array
  private readonly mask: number
  private readonly heads: Int32Array[]
  private readonly tails: Int32Array[]
  private readonly nexts: Int32Array[]
  private readonly marks: Int32Array
  private mark = 0

  /** `signatures` is flat, 128 values a row; `rows` is the most rows that will be added. */
  constructor(signatures: Uint32Array, rows: number) {
    this.signatures = signatures
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, rows * 2)))
    this.mask = slots - 1
    this.heads = tables(slots)
    this.tails = tables(slots)
    this.nexts = tables(rows)
    this.marks = new Int32Array(rows)
  }

  add(row: number): void {
    for (let band = 0; band < BANDS; band++) {
      const slot = this.slotOf(this.signatures, row, band)
      const tails = this.tails[band] as Int32Array
      const tail = tails[slot] as number
      if (tail < 0) (this.heads[band] as Int32Array)[slot] = row
      else (this.nexts[band] as Int32Array)[tail] = row
      tails[slot] = row
    }
  }

  /** The rows that share a band with signature `row` of `signatures`, ascending, each once. */
  candidates(signatures: Uint32Array, row: number): number[] {
    this.mark++
    const found: number[] = []
    for (let band = 0; band < BANDS; band++) {
      const nexts = this.nexts[band] as Int32Array
      const slot = this.slotOf(signatures, row, band)
      let left = MOST_IN_BAND
      for (let at = (this.heads[band] as Int32Array)[slot] as number; at >= 0 && left-- > 0; at = nexts[at] as number)
        if (this.marks[at] !== this.mark && this.sharesBand(signatures, row, at, band)) {
          this.marks[at] = this.mark
          found.push(at)
        }
    }
    return found.sort((a, b) => a - b)
  }

  private sharesBand(signatures: Uint32Array, row: number, other: number, band: number): boolean {
    const a = row * PERMUTATIONS + band * BAND_VALUES
    const b = other * PERMUTATIONS + band * BAND_VALUES
    for (let index = 0; index < BAND_VALUES; index++)
      if (signatures[a + index] !== this.signatures[b + index]) return false
    return true
  }

  private slotOf(signatures: Uint32Array, row: number, band: number): number {
    const from = row * PERMUTATIONS + band * BAND_VALUES
    let hash = 0x811c9dc5
    for (let index = 0; index < BAND_VALUES; index++) {
      hash = Math.imul(hash ^ (signatures[from + index] as number), 0x01000193)
      hash ^= hash >>> 15
    }
    return (hash ^ (hash >>> 16)) & this.mask
  }
}

const tables = (length: number): Int32Array[] => Array.from({ length: BANDS }, () => new Int32Array(length).fill(-1))
