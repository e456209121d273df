// What shares a name among RMS suffixes (prefix-sort.as) is ordered by a recursion: over the names of what shares one, and of the
// suffix that each of them ends at.

import { get, set } from './numbers'
import { sortSuffixes } from './sort'

/** In the list of sorted suffixes: the same name as the one before; the suffix before it in the text is L-type; its position. */
export const SAME: i32 = 1 << 31
export const AFTER_LARGER: i32 = 1 << 29
export const POSITION: i32 = (1 << 29) - 1
// A place in sa while suffixes are placed: a position that still places the one before it; in the first scan, AFTER_LARGER | one that
// does so in the second; at the end KEPT | the position or FINAL | the byte before.
export const FINAL: i32 = 1 << 31
export const KEPT: i32 = 3 << 30
const SINK: usize = memory.data(8, 8)
const BATCH: i32 = 64

let text: usize = 0
let n: i32 = 0
let list: usize = 0

/** An RMS suffix as it stands in the list. */
// @ts-ignore: decorator
@inline
export function withBefore(bytes: usize, p: i32): i32 {
  return p | (load<u8>(bytes + <usize>p - 1) > load<u8>(bytes + <usize>p) ? AFTER_LARGER : 0)
}

// @ts-ignore: decorator
@inline
function isShared(i: i32, m: i32): bool {
  return get(list, i) < 0 || (i + 1 < m && get(list, i + 1) < 0)
}

// Bit maps over the text, a bit for two positions: RMS suffixes never begin side by side.

// @ts-ignore: decorator
@inline
function mark(map: usize, place: i32): void {
  const p = map + <usize>(place >> 3)
  store<u8>(p, load<u8>(p) | (<u8>1 << <u8>(place & 7)))
}

// @ts-ignore: decorator
@inline
function isMarked(map: usize, place: i32): bool {
  return <bool>((load<u8>(map + <usize>(place >> 3)) >> <u8>(place & 7)) & 1)
}

/**
 * Orders the RMS suffixes that share names: list[0, m) is sorted by names, rms the map of them all, at the end of sa. False where
 * memory does not suffice.
 */
export function orderShared(bytes: usize, length: i32, sorted: usize, m: i32, rms: usize): bool {
  text = bytes
  n = length
  list = sorted
  const words = (n >> 7) + 1
  const sharing = (list + (<usize>m << 2) + 7) & ~7
  const kept = sharing + (<usize>words << 3)
  /** How many are kept before each word of 64 bits. */
  const ranks = kept + (<usize>words << 3)
  const order = ranks + (<usize>words << 2)
  const end = rms
  if (order > end) return false
  memory.fill(sharing, 0, <usize>words << 4)
  for (let i = 0; i < m; i++) if (isShared(i, m)) mark(sharing, (get(list, i) & POSITION) >> 1)
  // What is unique is kept after what is not.
  let after = false
  for (let word = 0; word < (n + 63) >> 6; word++) {
    for (let bits = load<u64>(rms + (<usize>word << 3)); bits != 0; bits &= bits - 1) {
      const place = ((word << 6) + <i32>ctz<u64>(bits)) >> 1
      const own = isMarked(sharing, place)
      if (own || after) mark(kept, place)
      after = own
    }
  }
  let count = 0
  for (let word = 0; word < words; word++) {
    set(ranks, word, count)
    count += <i32>popcnt<u64>(load<u64>(kept + (<usize>word << 3)))
  }
  const reduced = end - (<usize>count << 2)
  const spare = <i32>((reduced - order) >> 2) - count - 1
  if (reduced < order || spare < 0) return false
  // Names, by rank.
  let name = -1
  for (let i = 0; i < m; i++) {
    const p = get(list, i)
    const place = (p & POSITION) >> 1
    const word = load<u64>(kept + (<usize>(place >> 6) << 3)) >> <u64>(place & 63)
    if ((word & 1) == 0) continue
    name += <i32>(p >= 0)
    const below = load<u64>(kept + (<usize>(place >> 6) << 3)) & ((<u64>1 << <u64>(place & 63)) - 1)
    set(reduced, get(ranks, place >> 6) + <i32>popcnt<u64>(below), name)
  }
  sortSuffixes<i32>(reduced, count, name + 1, order, spare)
  let j = 0
  for (let word = 0; word < words; word++) {
    const both = load<u64>(sharing + (<usize>word << 3))
    for (let bits = load<u64>(kept + (<usize>word << 3)); bits != 0; bits &= bits - 1) {
      const bit = <i32>ctz<u64>(bits)
      const p = (word << 7) | (bit << 1)
      const second = (load<u8>(rms + <usize>(p >> 3)) >> <u8>(p & 7)) & 1 ? 0 : 1
      const own = withBefore(text, p + second)
      set(reduced, j++, (both >> <u64>bit) & 1 ? own | SAME : own)
    }
  }
  let slot = 0
  for (let from = 0; from < count; from += BATCH) {
    const to = min<i32>(from + BATCH, count)
    let seen = 0
    for (let i = from; i < to; i++) seen ^= get(reduced, get(order, i))
    store<i32>(SINK, seen)
    for (let i = from; i < to; i++) {
      const p = get(reduced, get(order, i))
      if (p >= 0) continue
      while (!isShared(slot, m)) slot++
      set(list, slot++, p & ~SAME)
    }
  }
  return true
}
