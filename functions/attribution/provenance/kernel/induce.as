// From sorted LMS suffixes to the transformed text: the two scans of induced sorting (sort.as), in which every suffix is visited once
// its row is final. The byte before it is read there anyway, so it takes the suffix's place in sa. Positions are kept only where
// they are wanted: of suffixes that begin a row, and of blocks of 64 that may be dense or that no bucket filled alone.

import { heapTop, release, reserve } from './heap'
import { get, set } from './numbers'
import { bucketRows, sortAndPlaceLms } from './sort'
import { chooseDense, finish, SAMPLE_BITS, SAMPLE_EVERY, SEPARATOR, UNKNOWN, variety } from './transform'

// A place in sa: a position that still induces; before the second scan, LATER | one that induces in the second scan only; at
// the end KEPT | the position or LATER | the byte before.
const LATER: i32 = 1 << 31
export const KEPT: i32 = 3 << 30
export const POSITION: i32 = (1 << 29) - 1

const SINK: usize = memory.data(8, 8)
/** The bytes before the suffixes of the block that each bucket is filling. */
const FILLING: usize = memory.data(257 * 64, 16)
/** Blocks that are full: 64 bytes before their suffixes, the block, its first position and its last. */
const FULL: usize = memory.data(16 * 80, 16)
const QUEUE: i32 = 16
let full: i32 = 0

let text: usize = 0
let n: i32 = 0
let sa: usize = 0
let dense: usize = 0
let samples: usize = 0

/** A block that is full waits until 16 are, so that the misses on their texts overlap. */
function fill(block: i32, bucket: i32, first: i32, last: i32): void {
  const to = FULL + <usize>full * 80
  memory.copy(to, FILLING + (<usize>bucket << 6), 64)
  store<i32>(to, block, 64)
  store<i32>(to, first & POSITION, 68)
  store<i32>(to, last & POSITION, 72)
  if (++full == QUEUE) tellFull()
}

/** Tells of full blocks whether they may be dense; where they may not, the bytes take the place of positions that are final. */
function tellFull(): void {
  let seen = 0
  for (let i = 0; i < full; i++) {
    const from = FULL + <usize>i * 80
    seen ^= <i32>load<u8>(text + <usize>load<i32>(from, 68)) ^ <i32>load<u8>(text + <usize>load<i32>(from, 72))
  }
  store<i32>(SINK, seen)
  for (let i = 0; i < full; i++) {
    const from = FULL + <usize>i * 80
    const block = load<i32>(from, 64)
    const different = variety(text, n, load<i32>(from, 68), load<i32>(from, 72), from)
    set(samples, block, load<i32>(from, 68))
    store<u8>(dense + <usize>block, <u8>different)
    if (different != 0) continue
    const places = sa + (<usize>block << (SAMPLE_BITS + 2))
    for (let at: usize = 0; at < 64; at += 4) {
      const place = places + (at << 2)
      const old = v128.load(place)
      const bytes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_splat(from + at)))
      const wanted = i32x4.ge_u(old, i32x4.splat(KEPT))
      const final = v128.andnot(wanted, i32x4.eq(bytes, i32x4.splat(SEPARATOR)))
      v128.store(place, v128.bitselect(v128.or(bytes, i32x4.splat(LATER)), old, final))
    }
  }
  full = 0
}

/** Loads what the rows [from, to) will need: independent loads, whose misses the processor overlaps. */
// @ts-ignore: decorator
@inline
function touch(from: i32, to: i32): void {
  let seen = 0
  for (let i = from; i < to; i++) seen ^= <i32>load<u8>(text + <usize>max<i32>(get(sa, i) - 1, 0))
  store<i32>(SINK, seen)
}

/** L-type suffixes, from the first row to the last. `heads` has a bucket 256 for what is not placed. */
function induceLarger(heads: usize, limits: usize): void {
  const c = <i32>load<u8>(text + <usize>(n - 1))
  const row = get(heads, c)
  const last = <i32>load<u8>(text + <usize>(n - 2))
  set(heads, c, row + 1)
  set(sa, row, last < c ? (n - 1) | LATER : n - 1)
  store<u8>(FILLING + <usize>((c << 6) + (row & 63)), <u8>last)
  for (let from = 0; from < n; from += SAMPLE_EVERY) {
    const to = min<i32>(from + SAMPLE_EVERY, n)
    touch(from, to)
    const keep = load<u8>(dense + <usize>(from >> SAMPLE_BITS)) != 0
    for (let i = from; i < to; i++) {
      const v = get(sa, i)
      const open = v > 0
      const at = open ? v - 1 : 0
      const c1 = <i32>load<u8>(text + <usize>at)
      const before = <i32>load<u8>(text + <usize>at - 1)
      const bucket = open ? c1 : 256
      const b = get(heads, bucket)
      const final = (c1 == SEPARATOR) | keep ? v | KEPT : c1 | LATER
      set(sa, i, open ? final : v == 0 ? KEPT : v & ~LATER)
      set(sa, b, before < c1 ? at | LATER : at)
      store<u8>(FILLING + <usize>((bucket << 6) + (b & 63)), <u8>before)
      set(heads, bucket, b + <i32>open)
      if ((b & 63) == 63 && b >= get(limits, bucket) && b >= to) fill(b >> SAMPLE_BITS, bucket, get(sa, b - 63), at)
    }
  }
  tellFull()
}

/** S-type suffixes, from the last row to the first; LMS suffixes at the ends of buckets make place for all. */
function induceSmaller(ends: usize, limits: usize): void {
  for (let from = ((n - 1) >> SAMPLE_BITS) << SAMPLE_BITS; from >= 0; from -= SAMPLE_EVERY) {
    const to = min<i32>(from + SAMPLE_EVERY, n)
    touch(from, to)
    const keep = load<u8>(dense + <usize>(from >> SAMPLE_BITS)) != 0
    for (let i = to - 1; i >= from; i--) {
      const v = get(sa, i)
      const open = v > 0
      const at = open ? v - 1 : 0
      const c1 = <i32>load<u8>(text + <usize>at)
      const before = <i32>load<u8>(text + <usize>at - 1)
      const bucket = open ? c1 : 256
      const b = get(ends, bucket) - 1
      const final = keep ? v | KEPT : c1 | LATER
      set(sa, i, open ? final : v)
      set(sa, b, before > c1 ? at | KEPT : at)
      store<u8>(FILLING + <usize>((bucket << 6) + (b & 63)), <u8>before)
      set(ends, bucket, b + <i32>!open)
      if ((b & 63) == 0 && b <= get(limits, bucket) && b < from) fill(b >> SAMPLE_BITS, bucket, at, get(sa, b + 63))
    }
  }
  tellFull()
}

/**
 * sa (n + 128 numbers) = the transformed text, a byte a suffix. Tells `numbers[row]` for every 64th suffix and every suffix of a
 * dense block (samples) and for every suffix that begins a row (firsts), and which blocks are dense (a bit a block; there is
 * room for a byte each, and 64). Returns how many samples there are.
 */
export function sortAndTransform(
  bytes: usize,
  length: i32,
  rowsOfSuffixes: usize,
  starts: usize,
  rows: i32,
  numbers: usize,
  denseBits: usize,
  sampled: usize,
  firsts: usize,
): i32 {
  text = bytes
  n = length
  sa = rowsOfSuffixes
  dense = denseBits
  samples = sampled
  memory.fill(dense, UNKNOWN, <usize>(n + 63) >> SAMPLE_BITS)
  const mark = heapTop()
  const byteBefore = load<u8>(text - 1)
  if (n < 2) set(sa, 0, KEPT)
  else {
    const counts = reserve(257 * 4)
    const buckets = reserve(257 * 4)
    const limits = reserve(257 * 4)
    sortAndPlaceLms<u8>(text, n, 256, sa, counts, buckets)
    store<u8>(text - 1, <u8>SEPARATOR)
    // What is not placed goes to a row that fills no block.
    const spare = ((n + 63) & ~63) + 1
    bucketRows<u8>(text, n, 256, counts, buckets, false, spare)
    for (let c = 0; c <= 256; c++) set(limits, c, get(buckets, c) + 63)
    induceLarger(buckets, limits)
    bucketRows<u8>(text, n, 256, counts, buckets, true, spare + 1)
    for (let c = 0; c <= 256; c++) set(limits, c, get(buckets, c) - 64)
    induceSmaller(buckets, limits)
  }
  store<u8>(text - 1, <u8>SEPARATOR)
  const count = finish(text, n, sa, starts, rows, numbers, dense, chooseDense(text, n, sa, dense, samples), samples, firsts)
  store<u8>(text - 1, byteBefore)
  release(mark)
  return count
}
