// Suffix array by induced sorting (SA-IS: Nong, Zhang, Chan, "Two efficient algorithms for linear time suffix array
// construction", 2011), for a text of bytes and, in the recursion, of names. Suffixes compare as if a symbol smaller than all
// followed the text. It works inside sa (n numbers) and two bucket arrays.
//
// Time goes to cache misses on the text, so every induction first touches the symbols of the next rows (independent loads,
// which the processor overlaps) and then places them without a branch that depends on them.

import { heapTop, release, reserve } from './heap'
import { get, set } from './numbers'

const BATCH: i32 = 64
const SINK: usize = memory.data(8, 8)

// @ts-ignore: decorator
@inline
function symbol<T>(text: usize, i: i32): i32 {
  return <i32>load<T>(text + (<usize>i << alignof<T>()))
}

/** Loads the symbols that the rows [from, to) will need; for names, their buckets too. */
// @ts-ignore: decorator
@inline
function touch<T>(text: usize, sa: usize, buckets: usize, from: i32, to: i32, back: i32): void {
  let seen = 0
  for (let i = from; i < to; i++) seen ^= symbol<T>(text, max<i32>(get(sa, i) - back, 0))
  if (sizeof<T>() == 4) {
    for (let i = from; i < to; i++) seen ^= get(buckets, symbol<T>(text, max<i32>(get(sa, i) - back, 0)))
  }
  store<i32>(SINK, seen)
}

function countSymbols<T>(text: usize, n: i32, counts: usize, k: i32): void {
  memory.fill(counts, 0, <usize>k << 2)
  for (let i = 0; i < n; i++) {
    const c = symbol<T>(text, i)
    set(counts, c, get(counts, c) + 1)
  }
}

/**
 * First row of each bucket (or the row past its last), and a spare bucket k that collects what is not placed at row `spare`.
 * Where memory is short, counts and buckets are one array and the symbols are counted anew.
 */
function bucketRows<T>(text: usize, n: i32, k: i32, counts: usize, buckets: usize, ends: bool, spare: i32): void {
  if (counts == buckets) countSymbols<T>(text, n, counts, k)
  let sum = 0
  for (let c = 0; c < k; c++) {
    const count = get(counts, c)
    set(buckets, c, ends ? sum + count : sum)
    sum += count
  }
  set(buckets, k, spare)
}

/** Sorts the LMS substrings: rows hold the position before a suffix that is still to be placed. Leaves ~p for LMS suffix p. */
function sortSubstrings<T>(text: usize, n: i32, k: i32, sa: usize, counts: usize, buckets: usize): void {
  // Row n of sa takes what is not placed.
  bucketRows<T>(text, n, k, counts, buckets, false, n)
  let j = n - 1
  let c = symbol<T>(text, j)
  let row = get(buckets, c)
  set(buckets, c, row + 1)
  j--
  set(sa, row, symbol<T>(text, j) < c ? ~j : j)
  for (let from = 0; from < n; from += BATCH) {
    const to = min<i32>(from + BATCH, n)
    touch<T>(text, sa, buckets, from, to, 0)
    for (let i = from; i < to; i++) {
      const v = get(sa, i)
      const open = v > 0
      const at = open ? v : 1
      const c1 = symbol<T>(text, at)
      const bucket = open ? c1 : k
      const b = get(buckets, bucket)
      set(sa, i, v < 0 ? ~v : 0)
      set(sa, b, symbol<T>(text, at - 1) < c1 ? ~(at - 1) : at - 1)
      set(buckets, bucket, b + <i32>open)
    }
  }
  bucketRows<T>(text, n, k, counts, buckets, true, n + 1)
  for (let to = n; to > 0; to -= BATCH) {
    const from = max<i32>(to - BATCH, 0)
    touch<T>(text, sa, buckets, from, to, 0)
    for (let i = to - 1; i >= from; i--) {
      const v = get(sa, i)
      const open = v > 0
      const at = open ? v : 1
      const c1 = symbol<T>(text, at)
      const bucket = open ? c1 : k
      const b = get(buckets, bucket) - 1
      set(sa, i, open ? 0 : v)
      set(sa, b, symbol<T>(text, at - 1) > c1 ? ~at : at - 1)
      set(buckets, bucket, b + <i32>!open)
    }
  }
}

/** From sorted LMS suffixes at the ends of their buckets to all suffixes. */
function induce<T>(text: usize, n: i32, k: i32, sa: usize, counts: usize, buckets: usize): void {
  bucketRows<T>(text, n, k, counts, buckets, false, n)
  const last = n - 1
  const c = symbol<T>(text, last)
  const row = get(buckets, c)
  set(buckets, c, row + 1)
  set(sa, row, last > 0 && symbol<T>(text, last - 1) < c ? ~last : last)
  for (let from = 0; from < n; from += BATCH) {
    const to = min<i32>(from + BATCH, n)
    touch<T>(text, sa, buckets, from, to, 1)
    for (let i = from; i < to; i++) {
      const v = get(sa, i)
      const open = v > 0
      const at = open ? v - 1 : 0
      const c1 = symbol<T>(text, at)
      const bucket = open ? c1 : k
      const b = get(buckets, bucket)
      set(sa, i, ~v)
      const before = symbol<T>(text, max<i32>(at - 1, 0)) // at 0: c1 itself, not less
      set(sa, b, before < c1 ? ~at : at)
      set(buckets, bucket, b + <i32>open)
    }
  }
  bucketRows<T>(text, n, k, counts, buckets, true, n + 1)
  for (let to = n; to > 0; to -= BATCH) {
    const from = max<i32>(to - BATCH, 0)
    touch<T>(text, sa, buckets, from, to, 1)
    for (let i = to - 1; i >= from; i--) {
      const v = get(sa, i)
      const open = v > 0
      const at = open ? v - 1 : 0
      const c1 = symbol<T>(text, at)
      const bucket = open ? c1 : k
      const b = get(buckets, bucket) - 1
      set(sa, i, open ? v : ~v)
      const before = symbol<T>(text, max<i32>(at - 1, 0))
      set(sa, b, at == 0 || before > c1 ? ~at : at)
      set(buckets, bucket, b + <i32>!open)
    }
  }
}

/** Puts the m sorted LMS suffixes to the front of sa and their substrings' names (from 1) at m + p / 2; returns how many. */
function nameSubstrings<T>(text: usize, n: i32, sa: usize, m: i32): i32 {
  let j = 0
  for (let i = 0; i < n; i++) {
    const v = get(sa, i)
    if (v < 0) set(sa, j++, ~v)
  }
  const info = sa + (<usize>m << 2)
  memory.fill(info, 0, (<usize>(n >> 1) + 1) << 2)
  // Lengths, up to and including the next LMS symbol.
  let i = n - 1
  j = n
  let c0 = symbol<T>(text, i)
  let c1 = 0
  do {
    c1 = c0
    i--
  } while (i >= 0 && (c0 = symbol<T>(text, i)) >= c1)
  while (i >= 0) {
    do {
      c1 = c0
      i--
    } while (i >= 0 && (c0 = symbol<T>(text, i)) <= c1)
    if (i < 0) break
    set(info, (i + 1) >> 1, j - i)
    j = i + 1
    do {
      c1 = c0
      i--
    } while (i >= 0 && (c0 = symbol<T>(text, i)) >= c1)
  }
  let name = 0
  let q = n
  let length = 0
  for (let from = 0; from < m; from += BATCH) {
    const to = min<i32>(from + BATCH, m)
    let seen = 0
    for (i = from; i < to; i++) seen ^= get(info, get(sa, i) >> 1)
    for (i = from; i < to; i++) seen ^= symbol<T>(text, get(sa, i))
    store<i32>(SINK, seen)
    for (i = from; i < to; i++) {
      const p = get(sa, i)
      const own = get(info, p >> 1)
      let same = 0
      if (own == length && q + own < n) while (same < own && symbol<T>(text, p + same) == symbol<T>(text, q + same)) same++
      if (own == 0 || same < own) {
        name++
        q = p
        length = own
      }
      set(info, p >> 1, name)
    }
  }
  return name
}

/** sa[0, m) = the sorted LMS suffixes, by induction and recursion; returns m. */
function sortLms<T>(text: usize, n: i32, k: i32, sa: usize, counts: usize, buckets: usize): i32 {
  bucketRows<T>(text, n, k, counts, buckets, true, n)
  memory.fill(sa, 0, <usize>n << 2)
  let m = 0
  let only = 0
  let i = n - 1
  let c0 = symbol<T>(text, i)
  let c1 = 0
  do {
    c1 = c0
    i--
  } while (i >= 0 && (c0 = symbol<T>(text, i)) >= c1)
  while (i >= 0) {
    do {
      c1 = c0
      i--
    } while (i >= 0 && (c0 = symbol<T>(text, i)) <= c1)
    if (i < 0) break
    // i is L-type, i + 1 the leftmost S-type of its run
    const b = get(buckets, c1) - 1
    set(buckets, c1, b)
    set(sa, b, i)
    only = i + 1
    m++
    do {
      c1 = c0
      i--
    } while (i >= 0 && (c0 = symbol<T>(text, i)) >= c1)
  }
  let names = m
  if (m > 1) {
    sortSubstrings<T>(text, n, k, sa, counts, buckets)
    names = nameSubstrings<T>(text, n, sa, m)
    if (names < m) {
      const reduced = sa + (<usize>(n - m) << 2)
      let j = m - 1
      for (let p = m + (n >> 1) - 1; p >= m; p--) {
        const name = get(sa, p)
        if (name != 0) set(reduced, j--, name - 1)
      }
      sortSuffixes<i32>(reduced, m, names, sa, n - 2 * m - 1)
      j = m - 1
      i = n - 1
      c0 = symbol<T>(text, i)
      do {
        c1 = c0
        i--
      } while (i >= 0 && (c0 = symbol<T>(text, i)) >= c1)
      while (i >= 0) {
        do {
          c1 = c0
          i--
        } while (i >= 0 && (c0 = symbol<T>(text, i)) <= c1)
        if (i < 0) break
        set(reduced, j--, i + 1)
        do {
          c1 = c0
          i--
        } while (i >= 0 && (c0 = symbol<T>(text, i)) >= c1)
      }
      for (let p = 0; p < m; p++) set(sa, p, get(reduced, get(sa, p)))
    }
  } else set(sa, 0, only)
  return m
}

/** LMS suffixes, in order, to the ends of their buckets; everything else empty. */
function placeLms<T>(text: usize, n: i32, sa: usize, m: i32, buckets: usize): void {
  let j = n
  let p = m - 1
  while (p >= 0) {
    const c = symbol<T>(text, get(sa, p))
    const end = get(buckets, c)
    while (j > end) set(sa, --j, 0)
    do {
      set(sa, --j, get(sa, p))
      p--
    } while (p >= 0 && symbol<T>(text, get(sa, p)) == c)
  }
  while (j > 0) set(sa, --j, 0)
}

/**
 * sa[0, n) = the suffix array of text[0, n) over symbols below k. sa has room for n + 1 numbers and after them `spare`
 * numbers are free; more memory is taken from the heap where that is not enough.
 */
export function sortSuffixes<T>(text: usize, n: i32, k: i32, sa: usize, spare: i32): void {
  if (n < 2) {
    if (n == 1) set(sa, 0, 0)
    return
  }
  const mark = heapTop()
  let buckets = sa + (<usize>(n + 1) << 2)
  if (spare < k + 1) buckets = reserve(<usize>(k + 1) << 2)
  const counts = spare < 2 * k + 1 ? buckets : buckets + (<usize>(k + 1) << 2)
  if (counts != buckets) countSymbols<T>(text, n, counts, k)
  const m = sortLms<T>(text, n, k, sa, counts, buckets)
  bucketRows<T>(text, n, k, counts, buckets, true, n)
  placeLms<T>(text, n, sa, m, buckets)
  induce<T>(text, n, k, sa, counts, buckets)
  release(mark)
}
