// What shares a name among LMS suffixes (prefix-sort.as) is ordered by a recursion: over the names of what shares one, and of the
// suffix that each of them ends at.

import { get, set } from './numbers'
import { sortSuffixes } from './sort'

/** In the list of sorted suffixes: the same name as the one before. Positions are below 2^29. */
export const SAME: i32 = 1 << 31
const SINK: usize = memory.data(8, 8)
const BATCH: i32 = 64

let text: usize = 0
let n: i32 = 0
let list: usize = 0

// @ts-ignore: decorator
@inline
function byte(i: i32): i32 {
  return <i32>load<u8>(text + <usize>i)
}

// @ts-ignore: decorator
@inline
function isShared(i: i32, m: i32): bool {
  return get(list, i) < 0 || (i + 1 < m && get(list, i + 1) < 0)
}

// Bit maps over the text, a bit for two positions: LMS suffixes never begin side by side.

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
 * Orders the LMS suffixes that share names: list[0, m) is sorted by names, lms the map of them all, at the end of sa. False where
 * memory does not suffice.
 */
export function orderShared(bytes: usize, length: i32, sorted: usize, m: i32, lms: usize): bool {
  text = bytes
  n = length
  list = sorted
  const words = (n >> 7) + 1
  const sharing = (list + (<usize>m << 2) + 7) & ~7
  const kept = sharing + (<usize>words << 3)
  /** How many are kept before each word of 64 bits. */
  const ranks = kept + (<usize>words << 3)
  const order = ranks + (<usize>words << 2)
  const end = lms
  if (order > end) return false
  memory.fill(sharing, 0, <usize>words << 4)
  for (let i = 0; i < m; i++) if (isShared(i, m)) mark(sharing, (get(list, i) & ~SAME) >> 1)
  // What is unique is kept after what is not.
  let after = false
  for (let word = 0; word < (n + 63) >> 6; word++) {
    for (let bits = load<u64>(lms + (<usize>word << 3)); bits != 0; bits &= bits - 1) {
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
    const place = (p & ~SAME) >> 1
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
      // Of the two positions, an LMS suffix begins where the text falls.
      const own = p + <i32>(byte(p) > byte(p + 1))
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
