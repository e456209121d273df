// Which blocks of 64 suffixes may be dense is told while the induction (induce.as) places them: where one may not, its positions need
// not be kept.

import { set } from './numbers'
import { FINAL, KEPT, POSITION } from './shared'
import { SAMPLE_BITS, SAMPLE_EVERY, SEPARATOR, UNKNOWN, variety, varietyOf } from './transform'

const SINK: usize = memory.data(8, 8)
/** The bytes before the suffixes of the block that each bucket is filling. */
export const FILLING: usize = memory.data(256 * 64, 16)
/** Blocks that are full: 64 bytes before their suffixes, the block, its first position and its last. */
const FULL: usize = memory.data(16 * 80, 16)
const QUEUE: i32 = 16
let full: i32 = 0

let text: usize = 0
let n: i32 = 0
let sa: usize = 0
let dense: usize = 0
let samples: usize = 0

/** Of n suffixes of a text, in sa: for each block of 64 a byte at dense and a first position at samples. */
export function openBlockNotes(bytes: usize, length: i32, rows: usize, varieties: usize, firsts: usize): void {
  text = bytes
  n = length
  sa = rows
  dense = varieties
  samples = firsts
  memory.fill(dense, UNKNOWN, <usize>(n + 63) >> SAMPLE_BITS)
}

/** A block that is full waits until 16 are, so that the misses on their texts overlap. */
export function fill(block: i32, bucket: i32, first: i32, last: i32): void {
  const to = FULL + <usize>full * 80
  memory.copy(to, FILLING + (<usize>bucket << 6), 64)
  store<i32>(to, block, 64)
  store<i32>(to, first & POSITION, 68)
  store<i32>(to, last & POSITION, 72)
  if (++full == QUEUE) tellFull()
}

/** Tells of full blocks whether they may be dense; where they may not, the bytes take the place of positions that are final. */
export function tellFull(): void {
  let seen = 0
  for (let i = 0; i < full; i++) {
    const from = FULL + <usize>i * 80
    seen ^= <i32>load<u8>(text + <usize>load<i32>(from, 68)) ^ <i32>load<u8>(text + <usize>load<i32>(from, 72))
  }
  store<i32>(SINK, seen)
  for (let i = 0; i < full; i++) {
    const from = FULL + <usize>i * 80
    const block = load<i32>(from, 64)
    const different = variety(text, n, load<i32>(from, 68), load<i32>(from, 72), from)
    set(samples, block, load<i32>(from, 68))
    store<u8>(dense + <usize>block, <u8>different)
    if (different != 0) continue
    const places = sa + (<usize>block << (SAMPLE_BITS + 2))
    for (let at: usize = 0; at < 64; at += 4) {
      const place = places + (at << 2)
      const old = v128.load(place)
      const bytes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_splat(from + at)))
      const wanted = i32x4.ge_u(old, i32x4.splat(KEPT))
      const final = v128.andnot(wanted, i32x4.eq(bytes, i32x4.splat(SEPARATOR)))
      v128.store(place, v128.bitselect(v128.or(bytes, i32x4.splat(FINAL)), old, final))
    }
  }
  full = 0
}

/** Tells of up to 16 blocks, this one and those before it, from row `least` on; their rows are all placed. Returns the last one told. */
export function tellPlaced(block: i32, least: i32): i32 {
  const last = max<i32>((least + SAMPLE_EVERY - 1) >> SAMPLE_BITS, block - QUEUE + 1)
  let seen = 0
  for (let b = last; b <= block; b++) {
    const places = sa + (<usize>b << (SAMPLE_BITS + 2))
    seen ^= <i32>load<u8>(text + <usize>(load<i32>(places) & POSITION))
    seen ^= <i32>load<u8>(text + <usize>(load<i32>(places, (SAMPLE_EVERY - 1) * 4) & POSITION))
  }
  store<i32>(SINK, seen)
  for (let b = last; b <= block; b++) {
    const places = sa + (<usize>b << (SAMPLE_BITS + 2))
    set(samples, b, load<i32>(places) & POSITION)
    store<u8>(dense + <usize>b, <u8>varietyOf(text, n, places))
  }
  return last
}
