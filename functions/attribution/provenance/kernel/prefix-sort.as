// The rightmost S-type (RMS) suffixes of a text of bytes, sorted for the induction: by their prefixes, as strings, and only what
// shares a long one by a recursion. Names of a hundred bytes tell most suffixes apart, where RMS substrings of three or four bytes tell
// few; a suffix that is alone with its name stays in the recursion only as the end of what is not.

import { bytesTold, makeCodes, withCode } from './codes'
import { heapTop, release, reserve } from './heap'
import { rmsBytes, markRms } from './rms'
import { get, set } from './numbers'
import { NAMED, openRefinement, refine, someShare } from './refine'
import { AFTER_LARGER, orderShared, POSITION, withBefore } from './shared'
import { sortMany } from './words'

const SINK: usize = memory.data(8, 8)

let text: usize = 0
let n: i32 = 0
let list: usize = 0
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
  const tables = reserve(4 << 18)
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
  const keys = items + (<usize>m << 3)
  if (<u64>keys + (<u64>largest << 3) > <u64>rms) {
    release(mark)
    return -1
  }
  const spare = keys + (<usize>largest << 3)
  openRefinement(text, n, list, rms, keys, <u64>spare + (<u64>largest << 3) > <u64>rms ? 0 : spare, tables)
  makeCodes(pairs)
  deal(items, firsts)
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
  const ok = !someShare() || orderShared(text, n, list, m, rms)
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
