// All maximal stretches of a query that occur: maximal-spans.ts tells how and why, line by line the same.

import { separator, symbolOf } from './blocks'
import { reserve } from './heap'
import { rankBoth, rankHi, rankLo } from './rank'
import { anyLive, tombstones } from './rows'

/** First probe: chance matches in a few hundred MB of text end before about this many bytes. */
const FIRST_PROBE: i32 = 16

/** Bytes at a pattern's end whose interval of suffixes is remembered, and how many such intervals: most searches begin alike. */
const BEGIN: i32 = 4
const REMEMBER_BITS: i32 = 15
/** Per place: the four bytes, 1 + lo (0: nothing is remembered), hi. */
let remembered: usize = 0
let rememberBits: i32 = 0

export function openSpans(n: i32): void {
  rememberBits = min<i32>(REMEMBER_BITS, 32 - clz<i32>(n))
  remembered = reserve(<usize>12 << rememberBits)
  memory.fill(remembered, 0, <usize>12 << rememberBits)
}

/** The interval of suffixes that `extend` narrows. */
let lo: i32 = 0
let hi: i32 = 0

/** From the suffixes that begin with w to those of byte + w; false where there are none. */
// @ts-ignore: decorator
@inline
function extend(byte: i32): bool {
  const s = symbolOf(byte)
  if (s < 0 || s == separator()) {
    hi = lo
    return false
  }
  rankBoth(s, lo, hi)
  lo = rankLo
  hi = rankHi
  return hi > lo
}

/** From all suffixes to those that begin with the four bytes that end at `end`; false where there are none. */
function begin(n: i32, end: usize): bool {
  const bytes = load<u32>(end - BEGIN)
  const place = remembered + <usize>((<u64>(bytes * 0x9e3779b1) << <u64>rememberBits) >> 32) * 12
  if (load<u32>(place) == bytes && load<i32>(place, 4) != 0) {
    lo = load<i32>(place, 4) - 1
    hi = load<i32>(place, 8)
    return hi > lo
  }
  lo = 0
  hi = n
  for (let i = 1; i <= BEGIN; i++) if (!extend(load<u8>(end - <usize>i))) break
  store<u32>(place, bytes)
  store<i32>(place, lo + 1, 4)
  store<i32>(place, hi, 8)
  return hi > lo
}

/** Suffixes that begin with the pattern. */
export function count(n: i32, pattern: usize, length: i32): i32 {
  lo = 0
  hi = n
  let i = length
  if (length >= BEGIN) {
    if (!begin(n, pattern + <usize>length)) return 0
    i -= BEGIN
  }
  while (--i >= 0) if (!extend(load<u8>(pattern + <usize>i))) return 0
  return hi - lo
}

/** Extends to the left until `lim`; the position reached, or -1 when the stretch stops occurring (in a live row) before. */
function extendTo(query: usize, at: i32, lim: i32): i32 {
  while (at > lim) {
    if (!extend(load<u8>(query + <usize>(at - 1)))) return -1
    at--
  }
  return tombstones == 0 || anyLive(lo, hi) ? at : -1
}

/** Extends to the left as far as some live row goes; the position reached. `trail` has room for an interval a byte. */
function extendFully(query: usize, from: i32, trail: usize): i32 {
  let at = from
  do {
    store<i32>(trail + (<usize>(from - at) << 3), lo)
    store<i32>(trail + (<usize>(from - at) << 3), hi, 4)
    if (at == 0 || !extend(load<u8>(query + <usize>(at - 1)))) break
    at--
  } while (true)
  back(trail, from - at)
  if (tombstones == 0 || anyLive(lo, hi)) return at
  let live = 0 // bytes further to the left that still are live, and that no longer are
  let dead = from - at
  while (dead - live > 1) {
    const middle = (live + dead) >> 1
    back(trail, middle)
    if (anyLive(lo, hi)) live = middle
    else dead = middle
  }
  back(trail, live)
  return from - live
}

function back(trail: usize, steps: i32): void {
  lo = load<i32>(trail + (<usize>steps << 3))
  hi = load<i32>(trail + (<usize>steps << 3), 4)
}

/**
 * Writes start, end, lo and hi of every maximal span of at least minLength (>= 1) bytes, by falling start, to memory it
 * reserves; returns how many. They begin at `heapTop()` as it was before, and stay until the caller releases them.
 */
export function spans(n: i32, query: usize, length: i32, minLength: i32): i32 {
  const trail = reserve((<usize>length + 1) << 3)
  let found = 0
  let top = length
  let smax = length
  let probe = FIRST_PROBE
  let held = 0 // end of the last probe that held; 0: none
  let heldAt = 0
  let heldLo = 0
  let heldHi = 0
  let failedAbove = false
  while (true) {
    const lim = min<i32>(smax, top - minLength)
    if (lim < 0) return found
    if (held > top) held = 0
    const p = held == 0 || !failedAbove ? min<i32>(top, lim + probe) : held + ((top - held + 1) >> 1)
    let at = p
    lo = 0
    hi = n
    if (p == held) {
      at = heldAt
      lo = heldLo
      hi = heldHi
    }
    if (p != held && p - lim >= BEGIN) at = begin(n, query + <usize>p) ? p - BEGIN : -1
    if (at >= 0) at = extendTo(query, at, lim)
    if (at < 0) {
      failedAbove = p != held && held != 0
      if (!failedAbove) {
        held = 0
        probe = FIRST_PROBE
      }
      top = p - 1
    } else if (p < top) {
      held = p
      heldAt = at
      heldLo = lo
      heldHi = hi
      probe *= 2
    } else {
      at = extendFully(query, at, trail)
      const span = reserve(16)
      store<i32>(span, at)
      store<i32>(span, top, 4)
      store<i32>(span, lo, 8)
      store<i32>(span, hi, 12)
      found++
      smax = at - 1
      top -= 1
      held = 0
      probe = FIRST_PROBE
      failedAbove = false
    }
  }
}
