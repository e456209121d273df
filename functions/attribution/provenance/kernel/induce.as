// From sorted RMS suffixes to the transformed text: every other suffix is placed by the one after it, S-type suffixes from the last
// row to the first, then L-type ones from the first to the last (Itoh, Tanaka, "An efficient method for in memory construction of
// suffix arrays", 1999). The byte before a suffix is read when it places that one, and takes its place in sa. Positions are kept
// only where they are wanted: of suffixes that begin a row, and of blocks of 64 that may be dense or that lie in two buckets.

import { get, set } from './numbers'
import { AFTER_LARGER, FINAL, KEPT, POSITION } from './shared'
import { FILLING, fill, tellFull, tellPlaced } from './told'
import { SAMPLE_BITS, SAMPLE_EVERY, SEPARATOR } from './transform'

const SINK: usize = memory.data(8, 8)
const BATCH: i32 = 128
/** Of the rows under way, those whose suffixes place the one before: these positions, and the rows. */
const PLACED: usize = memory.data(132 * 4, 16)
const ROWS: usize = memory.data(132 * 4, 16)
/** For each choice among four numbers the bytes of those chosen, in order. */
const CHOICES: usize = memory.data(16 * 16, 16)

let text: usize = 0
let n: i32 = 0
let sa: usize = 0
let dense: usize = 0

/** What is sorted: n suffixes of a text, in sa, and what is told of their blocks (told.as). */
export function openInduction(bytes: usize, length: i32, rows: usize, varieties: usize): void {
  text = bytes
  n = length
  sa = rows
  dense = varieties
  for (let choice = 0; choice < 16; choice++) {
    let to = CHOICES + (<usize>choice << 4)
    for (let lane = 0; lane < 4; lane++) {
      if (((choice >> lane) & 1) == 0) continue
      store<u32>(to, 0x03020100 + lane * 0x04040404)
      to += 4
    }
  }
}

/** Fills PLACED and ROWS from rows [from, to), all placed, in the first scan or the second; returns how many. */
// @ts-ignore: decorator
@inline
function choose(from: i32, to: i32, second: bool): i32 {
  let count = 0
  for (let i = from; i < to; i += 4) {
    const v = v128.load(sa + (<usize>i << 2))
    const at = i32x4.sub(v128.and(v, i32x4.splat(POSITION)), i32x4.splat(1))
    let others: i32
    if (second) {
      // Nothing stands before the first suffix.
      const first = i32x4.eq(v128.andnot(v, i32x4.splat(AFTER_LARGER)), i32x4.splat(0))
      others = i32x4.bitmask(v128.or(v, first))
      if (v128.any_true(first)) v128.store(sa + (<usize>i << 2), v128.bitselect(i32x4.splat(KEPT), v, first))
    } else others = i32x4.bitmask(i32x4.shl(v, 2))
    const choice = (others ^ 15) & ((1 << min<i32>(to - i, 4)) - 1)
    const bytes = v128.load(CHOICES + (<usize>choice << 4))
    v128.store(PLACED + (<usize>count << 2), i8x16.swizzle(at, bytes))
    v128.store(ROWS + (<usize>count << 2), i8x16.swizzle(i32x4.add(i32x4.splat(i), i32x4(0, 1, 2, 3)), bytes))
    count += popcnt<i32>(choice)
  }
  // Independent loads, whose misses the processor overlaps.
  let seen = 0
  for (let k = 0; k < count; k++) seen ^= <i32>load<u8>(text + <usize>get(PLACED, k))
  store<i32>(SINK, seen)
  return count
}

/** What remains of a suffix that has placed the one at `at`. */
// @ts-ignore: decorator
@inline
function remains(row: i32, at: i32, before: i32, always: bool): i32 {
  return <i32>always | <i32>load<u8>(dense + <usize>(row >> SAMPLE_BITS)) ? (at + 1) | KEPT : before | FINAL
}

/**
 * S-type suffixes, from the last bucket to the first and in each from the last row to the first. RMS suffixes are in place, the
 * first of those that begin with the same two bytes; `firsts` tells how many of each there are in the list they came from.
 */
export function induceSmaller(lasts: usize, heads: usize, firsts: usize): void {
  for (let c = 255; c >= 0; c--) {
    const limit = get(heads, c + 1)
    let told = limit >> SAMPLE_BITS
    for (let to = limit; to > get(lasts, c); ) {
      const placed = get(lasts, c)
      const from = max<i32>((to - 1) & ~(BATCH - 1), placed)
      while (told > (from + SAMPLE_EVERY - 1) >> SAMPLE_BITS) told = tellPlaced(told - 1, placed)
      for (let k = choose(from, to, false) - 1; k >= 0; k--) {
        const at = get(PLACED, k)
        const row = get(ROWS, k)
        const both = <i32>load<u16>(text + <usize>at - 1)
        const own = both >> 8
        const b = get(lasts, own) - 1
        set(lasts, own, b)
        set(sa, row, remains(row, at, own, false))
        set(sa, b, (both & 255) > own ? at | AFTER_LARGER : at)
      }
      to = from
    }
    for (let c0 = 0; c0 < c; c0++) {
      const key = (c0 << 8) | c
      set(lasts, c0, get(lasts, c0) - (get(firsts, key + 1) - get(firsts, key)))
    }
  }
}

/** Places the L-type suffix at `at`, which stands before the one of a row. */
// @ts-ignore: decorator
@inline
function placeLarger(row: i32, at: i32, heads: usize, limits: usize): void {
  const both = <i32>load<u16>(text + <usize>at - 1)
  const own = both >> 8
  const before = both & 255
  const b = get(heads, own)
  set(heads, own, b + 1)
  set(sa, row, remains(row, at, own, own == SEPARATOR))
  set(sa, b, before < own ? at | KEPT : at)
  store<u8>(FILLING + <usize>((own << 6) + (b & 63)), <u8>before)
  if ((b & 63) == 63 && b >= get(limits, own)) fill(b >> SAMPLE_BITS, own, get(sa, b - 63), at)
}

/** L-type suffixes, from the first row to the last. Those of bucket c end before lasts[c], and a block in it before limits[c]. */
export function induceLarger(heads: usize, lasts: usize, limits: usize, pairs: usize): void {
  const end = <i32>load<u8>(text + <usize>(n - 1))
  const before = <i32>load<u8>(text + <usize>(n - 2))
  const row = get(heads, end)
  set(heads, end, row + 1)
  set(sa, row, before < end ? (n - 1) | KEPT : n - 1)
  store<u8>(FILLING + <usize>((end << 6) + (row & 63)), <u8>before)
  let c = 0
  for (let from = 0; from < n; from += BATCH) {
    const to = min<i32>(from + BATCH, n)
    while (get(pairs, (c + 1) << 8) <= from) c++
    let placed = true
    for (let own = c; own < 256 && get(pairs, own << 8) < to; own++) placed = placed && get(heads, own) >= min<i32>(to, get(lasts, own))
    if (placed) {
      const count = choose(from, to, true)
      for (let k = 0; k < count; k++) placeLarger(get(ROWS, k), get(PLACED, k), heads, limits)
      continue
    }
    for (let i = from; i < to; i++) {
      const v = get(sa, i)
      if ((v & ~AFTER_LARGER) == 0) set(sa, i, KEPT)
      else if (v > 0) placeLarger(i, (v & POSITION) - 1, heads, limits)
    }
  }
  tellFull()
}
