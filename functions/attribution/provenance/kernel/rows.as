// Which rows hold the occurrences in an interval of suffixes. Every 64th suffix tells its row, and so does every suffix that
// begins a row; from any other one walks towards the beginning of its row. An interval walks as one for as long as the same
// byte stands before all its suffixes (thousands of identical rows), and is split by that byte where it is not.

import { loadBits } from './chunk'
import { heapTop, release, reserve } from './heap'
import { firstOf, rank, separator, step, stepped } from './rank'

let samples: usize = 0
let firsts: usize = 0
let bits: i32 = 0
let every: i32 = 0
let rows: i32 = 0
/** Bit map of rows already found, clear between calls. */
let seen: usize = 0
/** Numbers of the rows found, and how many. */
let list: usize = 0
let found: i32 = 0
/** Bit map of deleted rows, or 0. */
export let tombstones: usize = 0
let stopAtLive: bool = false

export function openRows(sampleBits: usize, firstBits: usize, bitsEach: i32, sampleEvery: i32, rowCount: i32): void {
  samples = sampleBits
  firsts = firstBits
  bits = bitsEach
  every = sampleEvery
  rows = rowCount
  seen = reserve(<usize>(rowCount >> 3) + 1)
  memory.fill(seen, 0, <usize>(rowCount >> 3) + 1)
  list = reserve(<usize>rowCount << 2)
}

export function useTombstones(bitmap: usize): void {
  tombstones = bitmap
}

/** Where the numbers of the rows found stand (u32 each). */
export function rowList(): usize {
  return list
}

function packed(from: usize, i: i32): i32 {
  const at = <u64>i * <u64>bits
  return <i32>loadBits(from + <usize>(at >> 3), <i32>(at & 7), bits)
}

// @ts-ignore: decorator
@inline
function holds(map: usize, row: i32): bool {
  return <bool>((load<u8>(map + <usize>(row >> 3)) >> <u8>(row & 7)) & 1)
}

function take(row: i32): void {
  if (holds(seen, row) || (tombstones != 0 && holds(tombstones, row))) return
  const p = seen + <usize>(row >> 3)
  store<u8>(p, load<u8>(p) | (<u8>1 << <u8>(row & 7)))
  store<i32>(list + (<usize>found << 2), row)
  found++
}

/** The row of one suffix. */
function rowOf(suffix: i32): i32 {
  while (suffix % every != 0) {
    const next = step(suffix)
    if (stepped == separator()) return packed(firsts, next - firstOf(separator()))
    suffix = next
  }
  return packed(samples, suffix / every)
}

function done(): bool {
  return found == rows || (stopAtLive && found > 0)
}

/**
 * Walks the suffixes [lo, hi); `known` has a byte for each, 1 when its row was taken. Groups that split off are pushed on the
 * stack: lo, hi, address of their bytes. All groups' bytes lie apart in one array.
 */
function walk(lo: i32, hi: i32, known: usize, stack: usize, groups: usize, order: usize): usize {
  while (!done()) {
    while (lo < hi && load<u8>(known)) {
      lo++
      known++
    }
    while (lo < hi && load<u8>(known + <usize>(hi - lo - 1))) hi--
    const width = hi - lo
    if (width <= 2) {
      for (let i = 0; i < width; i++) if (!load<u8>(known + <usize>i)) take(rowOf(lo + i))
      return stack
    }
    for (let at = (lo + every - 1) / every * every; at < hi; at += every) {
      const p = known + <usize>(at - lo)
      if (load<u8>(p)) continue
      store<u8>(p, 1)
      take(packed(samples, at / every))
    }
    const next = step(lo)
    const s = stepped
    const all = s == separator() ? firstOf(s) + (rank(s, hi) - rank(s, lo)) == firstOf(s) + width : rank(s, hi) - next == width
    if (!all) return split(lo, width, known, stack, groups, order)
    if (s == separator()) {
      takeFirsts(next - firstOf(s), width, known)
      return stack
    }
    lo = next
    hi = next + width
  }
  return stack
}

function takeFirsts(from: i32, width: i32, known: usize): void {
  for (let i = 0; i < width; i++) if (!load<u8>(known + <usize>i)) take(packed(firsts, from + i))
}

const SIZES: usize = memory.data(257 * 4, 4)
const NEXT: usize = memory.data(256 * 4, 4)

/** Puts suffixes before which the same byte stands side by side; they stay in order, so their next suffixes are neighbours. */
function split(lo: i32, width: i32, known: usize, stack: usize, groups: usize, order: usize): usize {
  memory.fill(SIZES, 0, 1028)
  for (let i = 0; i < width; i++) {
    const next = step(lo + i)
    const size = SIZES + (<usize>stepped << 2)
    if (load<i32>(size) == 0) store<i32>(NEXT + (<usize>stepped << 2), next)
    store<i32>(size, load<i32>(size) + 1)
    store<u8>(groups + <usize>i, <u8>stepped)
    store<u8>(order + <usize>i, load<u8>(known + <usize>i))
  }
  let sum = 0
  for (let s = 0; s <= separator(); s++) {
    const size = load<i32>(SIZES + (<usize>s << 2))
    store<i32>(SIZES + (<usize>s << 2), sum)
    if (size > 0 && s < separator()) {
      const next = load<i32>(NEXT + (<usize>s << 2))
      store<i32>(stack, next)
      store<i32>(stack, next + size, 4)
      store<u32>(stack, <u32>(known + <usize>sum), 8)
      stack += 12
    }
    sum += size
  }
  const firstsAt = load<i32>(SIZES + (<usize>separator() << 2))
  for (let i = 0; i < width; i++) {
    const size = SIZES + (<usize>load<u8>(groups + <usize>i) << 2)
    const at = load<i32>(size)
    store<i32>(size, at + 1)
    store<u8>(known + <usize>at, load<u8>(order + <usize>i))
  }
  if (firstsAt < width)
    takeFirsts(load<i32>(NEXT + (<usize>separator() << 2)) - firstOf(separator()), width - firstsAt, known + <usize>firstsAt)
  return stack
}

function collect(lo: i32, hi: i32): void {
  found = 0
  const mark = heapTop()
  const width = hi - lo
  const known = reserve(<usize>width)
  memory.fill(known, 0, <usize>width)
  const groups = reserve(<usize>width)
  const order = reserve(<usize>width)
  const bottom = reserve(<usize>width * 12)
  let stack = walk(lo, hi, known, bottom, groups, order)
  while (stack > bottom && !done()) {
    stack -= 12
    stack = walk(load<i32>(stack), load<i32>(stack, 4), <usize>load<u32>(stack, 8), stack, groups, order)
  }
  for (let i = 0; i < found; i++) store<u8>(seen + <usize>(load<i32>(list + (<usize>i << 2)) >> 3), 0)
  release(mark)
}

/** The distinct live rows that hold the suffixes [lo, hi): their number; they stand at rowList(). */
export function rowsOf(lo: i32, hi: i32): i32 {
  stopAtLive = false
  collect(lo, hi)
  return found
}

/** Does a live row hold one of the suffixes [lo, hi)? */
export function anyLive(lo: i32, hi: i32): bool {
  stopAtLive = true
  collect(lo, hi)
  return found > 0
}
