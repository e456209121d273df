// Codes for bytes that keep their order: a suffix's codes, one after another, compare as its bytes do, in a few bits a byte instead of
// eight. What a byte costs depends on the byte before it, as told by how often the two stand together: each half of a code's tree
// has about half of the weight, so a byte takes about as many bits as its frequency is worth.

import { reserve } from './heap'

/** Weights of bytes up to this one, for the byte before under way. */
const UP_TO: usize = memory.data(257 * 4, 4)
const LENGTH: u32 = 31

/** For the byte before (low) and a byte (high) its code: the highest bits, and below all codes its length (u32). */
let codes: usize = 0

/**
 * Makes codes, with memory from the heap. `pairs` (65,537 numbers) tells how many pairs of bytes are less than each. A zero has a
 * code everywhere, of zeros only, as behind the end of the text nothing but zeros follow.
 */
export function makeCodes(pairs: usize): void {
  codes = reserve(65536 << 2)
  memory.fill(codes, 0, 65536 << 2)
  for (let before = 0; before < 256; before++) {
    const own = pairs + (<usize>before << 10)
    const total = load<i32>(own, 1024) - load<i32>(own)
    if (total == 0) continue
    // No code is longer than about 12 bits.
    const least = (total >> 10) + 1
    let sum = 0
    for (let byte = 0; byte < 256; byte++) {
      const count = load<i32>(own + (<usize>byte << 2), 4) - load<i32>(own + (<usize>byte << 2))
      if (count > 0 || byte == 0) sum += count + least
      store<i32>(UP_TO + (<usize>byte << 2), sum, 4)
    }
    split(before, 0, 256, 0, 0)
  }
}

/** Gives bytes [from, to) codes that begin with `length` bits. */
function split(before: i32, from: i32, to: i32, code: u32, length: u32): void {
  const low = load<i32>(UP_TO + (<usize>from << 2))
  const high = load<i32>(UP_TO + (<usize>to << 2))
  const middle = low + ((high - low) >> 1)
  let at = from + 1
  while (load<i32>(UP_TO + (<usize>at << 2)) < middle) at++
  // The byte that lies across the middle goes where less is missing.
  const above = load<i32>(UP_TO + (<usize>at << 2))
  const below = load<i32>(UP_TO + (<usize>at << 2) - 4)
  if (below > low && (above == high || middle - below < above - middle)) at--
  if (load<i32>(UP_TO + (<usize>at << 2)) == high) {
    // One byte, and others that do not occur.
    store<u32>(codes + (<usize>(((at - 1) << 8) | before) << 2), code | length)
    return
  }
  split(before, from, at, code, length + 1)
  split(before, at, to, code | (0x80000000 >> length), length + 1)
}

// @ts-ignore: decorator
@inline
function codeOf(p: usize): u32 {
  return load<u32>(codes + (<usize>load<u16>(p - 1) << 2))
}

/** The codes of what begins at p, behind the byte before it, from those of what begins behind p. */
// @ts-ignore: decorator
@inline
export function withCode(p: usize, next: u64): u64 {
  const code = codeOf(p)
  return (next >> <u64>(code & LENGTH)) | (<u64>(code & ~LENGTH) << 32)
}

/** How many whole bytes from p on `bits` bits of codes tell, of `most`. */
export function bytesTold(p: usize, bits: i32, most: i32): i32 {
  let told = 0
  while (told < most && (bits -= <i32>(codeOf(p + <usize>told) & LENGTH)) >= 0) told++
  return told
}
