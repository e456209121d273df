// The leftmost S-type (LMS) suffixes of a text of bytes, sorted for the induction: by their prefixes, as strings, and only what
// shares a long one by a recursion. Names of 42 bytes tell most suffixes apart, where LMS substrings of three or four bytes tell
// few; a suffix that is alone with its name stays in the recursion only as the end of what is not.
//
// Suffixes with one name share at least NAMED bytes, and in them a whole LMS substring: so their next LMS suffixes stand equally
// far, and comparing names one after another compares the suffixes.

import { heapTop, release, reserve } from './heap'
import { sortPairs } from './pairs'
import { sortSuffixes } from './sort'

const NAMED: i32 = 42
/** In the list of sorted suffixes: the same name as the one before. Positions are below 2^29. */
const SAME: i32 = 1 << 31
const UNIQUE: i32 = 1
const SHARED: i32 = 2

let text: usize = 0
let n: i32 = 0
let list: usize = 0
let keys: usize = 0
let shared: i32 = 0

// @ts-ignore: decorator
@inline
function byte(i: i32): i32 {
  return <i32>load<u8>(text + <usize>i)
}

// @ts-ignore: decorator
@inline
function get(array: usize, i: i32): i32 {
  return load<i32>(array + (<usize>i << 2))
}

// @ts-ignore: decorator
@inline
function set(array: usize, i: i32, value: i32): void {
  store<i32>(array + (<usize>i << 2), value)
}

// LMS suffixes from the last to the first: where the run of rising bytes that scanNext looks through ends.
let scanned: i32 = 0

function scanStart(): void {
  let i = n - 1
  while (i > 0 && byte(i - 1) >= byte(i)) i--
  scanned = i
}

/** The next LMS suffix to the left; 0 when there is none. */
function scanNext(): i32 {
  let i = scanned
  while (i > 0 && byte(i - 1) <= byte(i)) i--
  const found = i
  if (found == 0) return 0
  while (i > 0 && byte(i - 1) >= byte(i)) i--
  scanned = i
  return found
}

/** sa[0, m) = the sorted LMS suffixes; returns m, or -1 where memory does not suffice: then sa is spoilt. */
export function sortLmsByPrefixes(bytes: usize, length: i32, sa: usize): i32 {
  text = bytes
  n = length
  list = sa
  const mark = heapTop()
  const ends = reserve(65537 << 2)
  memory.fill(ends, 0, 65537 << 2)
  let m = 0
  scanStart()
  for (let p = scanNext(); p > 0; p = scanNext()) {
    set(sa, n - ++m, p)
    const key = ends + (<usize>((byte(p) << 8) | byte(p + 1)) << 2)
    store<i32>(key, load<i32>(key) + 1)
  }
  let largest = 0
  let sum = 0
  for (let key = 0; key <= 65536; key++) {
    const count = get(ends, key)
    largest = max<i32>(largest, count)
    set(ends, key, sum)
    sum += count
  }
  keys = (sa + (<usize>m << 2) + 7) & ~7
  if (keys + (<usize>largest << 3) > sa + (<usize>n << 2)) {
    release(mark)
    return -1
  }
  for (let i = n - m; i < n; i++) {
    const p = get(sa, i)
    const key = ends + (<usize>((byte(p) << 8) | byte(p + 1)) << 2)
    const at = load<i32>(key)
    store<i32>(key, at + 1)
    set(sa, at, p)
  }
  shared = 0
  let from = 0
  for (let key = 0; key < 65536; key++) {
    const to = get(ends, key)
    if (to - from > 1) refine(from, to, from, 2, 1, false)
    from = to
  }
  release(mark)
  return shared == 0 || orderShared(m) ? m : -1
}

/** Eight bytes of a suffix from `depth` on, the first highest; zeros behind the end. */
// @ts-ignore: decorator
@inline
function eight(p: i32): u64 {
  const left = n - p
  const value = bswap<u64>(load<u64>(text + <usize>p))
  return left >= 8 ? value : left <= 0 ? 0 : value & ~(<u64>-1 >> <u64>(left << 3))
}

/**
 * Sorts list[from, to), which share `depth` bytes, and marks what shares a name. Keys of list[i] lie at keys[i - base]. A whole
 * LMS substring is a descent and, later, a rise: `fell` tells whether there is a descent before byte `seen`, and no byte is looked
 * at twice, as a run of one byte may be as long as a row.
 */
function refine(from: i32, to: i32, base: i32, depth: i32, seen: i32, fell: bool): void {
  while (true) {
    const first = get(list, from)
    // What shares zeros with a suffix that ended has another byte somewhere further on.
    if (depth >= NAMED && first + depth <= n) {
      for (; seen < depth; seen++) {
        const now = byte(first + seen)
        const before = byte(first + seen - 1)
        if (fell && now > before) {
          for (let i = from + 1; i < to; i++) set(list, i, get(list, i) | SAME)
          shared += to - from
          return
        }
        if (now < before) fell = true
      }
    }
    const own = keys + (<usize>(from - base) << 3)
    for (let i = from; i < to; i++) store<u64>(own + (<usize>(i - from) << 3), eight(get(list, i) + depth))
    sortPairs(own, list + (<usize>from << 2), to - from)
    depth += 8
    // The largest run of equal keys is refined by this loop, so that calls nest only logarithmically.
    let most = 1
    let mostFrom = 0
    for (let i = from; i < to; ) {
      const run = runEnd(i, to, base)
      if (run - i > most) {
        most = run - i
        mostFrom = i
      }
      i = run
    }
    if (most == 1) return
    for (let i = from; i < to; ) {
      const run = runEnd(i, to, base)
      if (i != mostFrom && run - i > 1) refine(i, run, base, depth, seen, fell)
      i = run
    }
    from = mostFrom
    to = from + most
  }
}

// @ts-ignore: decorator
@inline
function runEnd(i: i32, to: i32, base: i32): i32 {
  const key = load<u64>(keys + (<usize>(i - base) << 3))
  let run = i + 1
  while (run < to && load<u64>(keys + (<usize>(run - base) << 3)) == key) run++
  return run
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

const SINK: usize = memory.data(8, 8)
const BATCH: i32 = 64

/** Orders the suffixes that share names. False where memory does not suffice. */
function orderShared(m: i32): bool {
  const words = (n >> 7) + 1
  const sharing = (list + (<usize>m << 2) + 7) & ~7
  const kept = sharing + (<usize>words << 3)
  /** How many are kept before each word of 64 bits. */
  const ranks = kept + (<usize>words << 3)
  const order = ranks + (<usize>words << 2)
  const end = list + (<usize>n << 2)
  if (order > end) return false
  memory.fill(sharing, 0, <usize>words << 4)
  for (let i = 0; i < m; i++) if (isShared(i, m)) mark(sharing, (get(list, i) & ~SAME) >> 1)
  // In the order of the text: what is unique is kept after what is not.
  let after = 0
  scanStart()
  for (let p = scanNext(); p > 0; p = scanNext()) {
    if (isMarked(sharing, p >> 1)) {
      mark(kept, p >> 1)
      if (after > 0) mark(kept, after >> 1)
    }
    after = p
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
