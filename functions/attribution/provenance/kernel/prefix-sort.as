// The rightmost S-type (RMS) suffixes of a text of bytes, sorted for the induction: by their prefixes, as strings, and only what
// shares a long one by a recursion. Names of a hundred bytes tell most suffixes apart, where RMS substrings of three or four bytes tell
// few; a suffix that is alone with its name stays in the recursion only as the end of what is not.
//
// Suffixes with one name share at least NAMED bytes, and in them a whole RMS substring: so their next RMS suffixes stand equally
// far, and comparing names one after another compares the suffixes.

import { bytesTold, makeCodes, withCode } from './codes'
import { heapTop, release, reserve } from './heap'
import { rmsBytes, markRms } from './rms'
import { get, set } from './numbers'
import { AFTER_LARGER, orderShared, POSITION, SAME, withBefore } from './shared'
import { sortFew, sortMany } from './words'

const NAMED: i32 = 106

const SINK: usize = memory.data(8, 8)

let text: usize = 0
let n: i32 = 0
let list: usize = 0
let keys: usize = 0
let shared: bool = false
let tables: usize = 0
/** As much room as at keys, or 0. */
let spare: usize = 0
/** Groups of so many are sorted by comparing. */
const FEW: i32 = 12
/** Suffixes whose text is touched at once. */
const AHEAD: i32 = 256
/** Where: behind the bytes that most items tell. */
const AHEAD_BY: i32 = 10

// @ts-ignore: decorator
@inline
function byte(i: i32): i32 {
  return <i32>load<u8>(text + <usize>i)
}

/** The map of RMS suffixes, at the end of sa. */
let rms: usize = 0

/** An item: the codes of a suffix behind its first two bytes, the highest first, and below them what the list has of it. */
const LISTED: u64 = POSITION | AFTER_LARGER
const ITEM_BITS: i32 = 34
/** The codes of what begins at 64 bytes and at two more. */
const CODES: usize = memory.data(66 * 8, 8)

/**
 * sa[0, m) = the sorted RMS suffixes (with AFTER_LARGER), firsts (65,537 numbers) = where those are that begin with each two bytes;
 * pairs tells the same of all suffixes. Returns m, or -1 where memory does not suffice: then sa is spoilt. A separator stands
 * before the text.
 */
export function sortRms(bytes: usize, length: i32, sa: usize, pairs: usize, firsts: usize): i32 {
  text = bytes
  n = length
  list = sa
  const words = (n + 63) >> 6
  rms = (sa + (<usize>n << 2) - rmsBytes(n)) & ~7
  if (rms < sa + 64) return -1
  const m = markRms(text, n, rms)
  const mark = heapTop()
  tables = reserve(4 << 18)
  memory.fill(firsts, 0, 65537 << 2)
  for (let word = 0; word < words; word++) {
    const base = text + (<usize>word << 6)
    for (let bits = load<u64>(rms + (<usize>word << 3)); bits != 0; bits &= bits - 1) {
      const p = base + <usize>ctz<u64>(bits)
      const key = firsts + (<usize>((<i32>load<u8>(p) << 8) | <i32>load<u8>(p, 1)) << 2)
      store<i32>(key, load<i32>(key) + 1)
    }
  }
  let largest = 0
  let sum = 0
  for (let key = 0; key <= 65536; key++) {
    const count = get(firsts, key)
    largest = max<i32>(largest, count)
    sum += count
    set(firsts, key, sum)
  }
  const items = (sa + 7) & ~7
  keys = items + (<usize>m << 3)
  if (<u64>keys + (<u64>largest << 3) > <u64>rms) {
    release(mark)
    return -1
  }
  spare = keys + (<usize>largest << 3)
  if (<u64>spare + (<u64>largest << 3) > <u64>rms) spare = 0
  makeCodes(pairs)
  deal(items, firsts)
  shared = false
  let from = 0
  for (let key = 0; key < 65536; key++) {
    const to = get(firsts, key + 1)
    if (from == to) continue
    const own = items + (<usize>from << 3)
    sortMany(own, to - from, 48, keys, tables)
    // Positions take the place of the items before these, and of these from the first on.
    let first = from
    let touched = from
    let before = load<u64>(own)
    set(list, from, <i32>(before & LISTED))
    for (let i = from + 1; i < to; i++) {
      if (i >= touched) {
        // Texts that are looked at next: their misses overlap.
        const end = min<i32>(touched + AHEAD, to)
        let seen = 0
        for (; touched < end; touched++) seen ^= byte((load<i32>(items + (<usize>touched << 3)) & POSITION) + AHEAD_BY)
        store<i32>(SINK, seen)
      }
      const item = load<u64>(items + (<usize>i << 3))
      set(list, i, <i32>(item & LISTED))
      if ((item ^ before) > LISTED) {
        if (i - first > 1) refine(first, i, first, depthOf(first), NAMED)
        first = i
        before = item
      }
    }
    if (to - first > 1) refine(first, to, first, depthOf(first), NAMED)
    from = to
  }
  release(mark)
  const ok = !shared || orderShared(text, n, list, m, rms)
  return ok ? m : -1
}

/** Writes an item for each RMS suffix, from the last, to where `firsts` ends for its first two bytes; that then tells the first. */
function deal(items: usize, firsts: usize): void {
  memory.fill(CODES, 0, 66 * 8)
  for (let base = (n - 1) & ~63; base >= 0; base -= 64) {
    // Of the 64 bytes behind these, the first two.
    store<u64>(CODES, load<u64>(CODES), 64 * 8)
    store<u64>(CODES, load<u64>(CODES, 8), 65 * 8)
    let told = load<u64>(CODES)
    for (let i = min<i32>(63, n - 1 - base); i >= 0; i--) {
      told = withCode(text + <usize>(base + i), told)
      store<u64>(CODES + (<usize>i << 3), told)
    }
    for (let bits = load<u64>(rms + (<usize>base >> 3)); bits != 0; bits &= bits - 1) {
      const i = <i32>ctz<u64>(bits)
      const p = base + i
      const first = firsts + (<usize>((byte(p) << 8) | byte(p + 1)) << 2)
      const at = load<i32>(first) - 1
      store<i32>(first, at)
      const told = load<u64>(CODES + (<usize>i << 3), 16)
      store<u64>(items + (<usize>at << 3), (told & ~LISTED) | <u64>withBefore(text, p))
    }
  }
}

/** Whole bytes that suffixes with the same bits in their items share, as list[i] tells. Runs, whose codes may be empty, are not read far. */
// @ts-ignore: decorator
@inline
function depthOf(i: i32): i32 {
  const p = (get(list, i) & POSITION) + 2
  return 2 + bytesTold(text + <usize>p, ITEM_BITS, min<i32>(n - p, 64))
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

/** Sorts list[from, to), which share `depth` bytes, and marks what shares a name. Words of list[i] lie at keys[i - base]. */
function refine(from: i32, to: i32, base: i32, depth: i32, check: i32): void {
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
