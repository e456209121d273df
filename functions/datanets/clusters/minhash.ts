import { GRAM } from './grams.ts'

/**
 * MinHash (A. Broder, "On the resemblance and containment of documents", 1997): the share of equal values in two
 * signatures estimates the Jaccard similarity of the two sets, with standard error sqrt(J (1 - J) / 128).
 */
export const PERMUTATIONS = 128

/** Odd multipliers and offsets of the permutations h -> a h + b modulo 2^32, drawn once by a fixed generator. */
const MULTIPLIERS = new Int32Array(PERMUTATIONS)
const OFFSETS = new Int32Array(PERMUTATIONS)
{
  let state = 0x6f70656e // "open"
  // xorshift32 (G. Marsaglia, "Xorshift RNGs", 2003).
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  }
  for (let index = 0; index < PERMUTATIONS; index++) {
    MULTIPLIERS[index] = next() | 1
    OFFSETS[index] = next()
  }
}

/** The signature of a normalised text's 5-grams: 128 unsigned 32-bit minima. Equal texts have equal signatures. */
export const signatureOf = (text: string): Uint32Array => {
  const minima = new Uint32Array(PERMUTATIONS).fill(0xffffffff)
  const seen = new Set<number>()
  const last = Math.max(0, text.length - GRAM)
  for (let at = 0; at <= last; at++) {
    const hash = hashGram(text, at, Math.min(text.length, at + GRAM))
    if (seen.has(hash)) continue
    seen.add(hash)
    for (let index = 0; index < PERMUTATIONS; index++) {
      const value = (Math.imul(hash, MULTIPLIERS[index] as number) + (OFFSETS[index] as number)) >>> 0
      if (value < (minima[index] as number)) minima[index] = value
    }
  }
  return minima
}

/** FNV-1a over code units, then the finaliser of MurmurHash3, which spreads every input bit over the whole word. */
const hashGram = (text: string, start: number, end: number): number => {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/** How many of the 128 values are equal, counted in flat arrays that hold one signature after the other. */
export const equalValues = (a: Uint32Array, aIndex: number, b: Uint32Array, bIndex: number): number => {
  const from = aIndex * PERMUTATIONS
  const to = bIndex * PERMUTATIONS
  let equal = 0
  for (let index = 0; index < PERMUTATIONS; index++) if (a[from + index] === b[to + index]) equal++
  return equal
}
