// Suffixes that tie by what their items tell (prefix-sort.as) are told apart by their text, eight bytes at a time, until they differ or
// share a name.
//
// Suffixes with one name share at least NAMED bytes, and in them a whole RMS substring: so their next RMS suffixes stand equally
// far, and comparing names one after another compares the suffixes.

import { get, set } from './numbers'
import { POSITION, SAME } from './shared'
import { sortFew, sortMany } from './words'

/** Suffixes share a name from so many bytes on. */
export const NAMED: i32 = 106
/** Groups of so many are sorted by comparing. */
const FEW: i32 = 12

let text: usize = 0
let n: i32 = 0
let list: usize = 0
let rms: usize = 0
let keys: usize = 0
/** As much room as at keys, or 0. */
let spare: usize = 0
let tables: usize = 0
let shared: bool = false

/** What is sorted: positions in `list` of suffixes of a text, and the map of the RMS ones; where words may lie meanwhile. */
export function openRefinement(bytes: usize, length: i32, sorted: usize, map: usize, words: usize, more: usize, counts: usize): void {
  text = bytes
  n = length
  list = sorted
  rms = map
  keys = words
  spare = more
  tables = counts
  shared = false
}

/** Whether some suffixes share a name. */
export function someShare(): bool {
  return shared
}

// @ts-ignore: decorator
@inline
function byte(i: i32): i32 {
  return <i32>load<u8>(text + <usize>i)
}

/** Eight bytes of a suffix from `depth` on, the first highest; zeros behind the end. */
// @ts-ignore: decorator
@inline
function eight(p: i32): u64 {
  const left = n - p
  const value = bswap<u64>(load<u64>(text + <usize>p))
  return left >= 8 ? value : left <= 0 ? 0 : value & ~(<u64>-1 >> <u64>(left << 3))
}

/** Whether the next RMS suffix and the fall that shows its type lie within `depth` bytes of RMS suffix p. */
function holdsSubstring(p: i32, depth: i32): bool {
  const next = p + 1
  const near = load<u64>(rms + <usize>(next >> 3)) >> <u64>(next & 7)
  if (near == 0 && depth <= 57) return false
  // The text does not rise again between an RMS suffix and that fall.
  let i = near != 0 ? next + <i32>ctz<u64>(near) + 1 : next
  let rose = near != 0
  for (i++; i < p + depth; i++) {
    const now = byte(i)
    const before = byte(i - 1)
    if (rose && now < before) return true
    if (now > before) rose = true
  }
  return false
}

/** The sign of what one suffix is to another behind `depth` bytes that they share; 0 if they get the same name. */
function compare(p: i32, q: i32, depth: i32, check: i32): i32 {
  const whole = n - 8 - max<i32>(p, q)
  while (true) {
    if (depth <= whole) {
      const a = load<u64>(text + <usize>(p + depth))
      const b = load<u64>(text + <usize>(q + depth))
      if (a != b) return bswap<u64>(a) < bswap<u64>(b) ? -1 : 1
    } else {
      const a = eight(p + depth)
      const b = eight(q + depth)
      if (a != b) return a < b ? -1 : 1
    }
    depth += 8
    if (depth >= check && p + depth <= n) {
      if (holdsSubstring(p, depth)) return 0
      check = 2 * depth
    }
  }
}

/** Few suffixes that share `depth` bytes. */
function refineFew(from: i32, to: i32, depth: i32, check: i32): void {
  for (let i = from + 1; i < to; i++) {
    const p = get(list, i)
    let at = i
    let order = 1
    while (at > from && (order = compare(get(list, at - 1) & POSITION, p & POSITION, depth, check)) > 0) {
      set(list, at, get(list, at - 1))
      at--
    }
    set(list, at, order == 0 ? p | SAME : p)
    shared = shared || order == 0
  }
}

/** Sorts list[from, to), which share `depth` bytes, and marks what shares a name, looked for from `check` bytes on. Words of list[i] lie at keys[i - base]. */
export function refine(from: i32, to: i32, base: i32, depth: i32, check: i32): void {
  while (true) {
    const count = to - from
    // What shares zeros with a suffix that ended has another byte somewhere further on.
    const first = get(list, from) & POSITION
    if (depth >= check && first + depth <= n) {
      if (holdsSubstring(first, depth)) {
        for (let i = from + 1; i < to; i++) set(list, i, get(list, i) | SAME)
        shared = true
        return
      }
      check = 2 * depth
    }
    if (count <= FEW) {
      refineFew(from, to, depth, check)
      return
    }
    const own = keys + (<usize>(from - base) << 3)
    const bits = 32 - clz<i32>(count - 1)
    const below = ((<u64>1) << <u64>bits) - 1
    const key = eight(first + depth)
    let differ: u64 = 0
    for (let i = 0; i < count; i++) {
      const word = eight((get(list, from + i) & POSITION) + depth)
      differ |= word ^ key
      store<u64>(own + (<usize>i << 3), (word & ~below) | <u64>i)
    }
    depth += (64 - bits) >> 3
    if (differ <= below) continue
    if (spare == 0) sortFew(own, count)
    else sortMany(own, count, max<i32>(48 - <i32>clz<u64>(differ), 0), spare, tables)
    let most = 1
    let mostFrom = 0
    let run = 1
    let before = load<u64>(own)
    store<u64>(own, <u64>get(list, from + <i32>(before & below)))
    for (let i = 1; i < count; i++) {
      const word = load<u64>(own + (<usize>i << 3))
      const tie = (word ^ before) <= below
      store<u64>(own + (<usize>i << 3), <u64>get(list, from + <i32>(word & below)) | (<u64>tie << 32))
      before = word
      run = tie ? run + 1 : 1
      if (run > most) {
        most = run
        mostFrom = i + 1 - run
      }
    }
    for (let i = 0; i < count; i++) set(list, from + i, load<i32>(own + (<usize>i << 3)))
    if (most == 1) return
    // The largest run is refined by this loop, so that calls nest only logarithmically.
    for (let i = 0; i < count; ) {
      let end = i + 1
      while (end < count && load<i32>(own + (<usize>end << 3), 4) != 0) end++
      if (end - i > 1 && i != mostFrom) {
        if (end - i <= FEW && depth < check) refineFew(from + i, from + end, depth, check)
        else refine(from + i, from + end, base, depth, check)
      }
      i = end
    }
    from += mostFrom
    to = from + most
  }
}
