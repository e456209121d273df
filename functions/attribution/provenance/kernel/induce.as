// From sorted RMS suffixes to the transformed text: every other suffix is placed by the one after it, S-type suffixes from the last
// row to the first, then L-type ones from the first to the last (Itoh, Tanaka, "An efficient method for in memory construction of
// suffix arrays", 1999). The byte before a suffix is read when it places that one, and takes its place in sa. Positions are kept
// only where they are wanted: of suffixes that begin a row, and of blocks of 64 that may be dense or that lie in two buckets.

import { heapTop, release, reserve } from './heap'
import { get, set } from './numbers'
import { sortRms } from './prefix-sort'
import { AFTER_LARGER, FINAL, KEPT, POSITION } from './shared'
import { sortSuffixes } from './sort'
import { FILLING, fill, openBlockNotes, tellFull, tellPlaced } from './told'
import { chooseDense, finish, SAMPLE_BITS, SAMPLE_EVERY, SEPARATOR } from './transform'

const SINK: usize = memory.data(8, 8)

let text: usize = 0
let n: i32 = 0
let sa: usize = 0
let dense: usize = 0

/** Loads what the rows [from, to) will need: independent loads, whose misses the processor overlaps. */
// @ts-ignore: decorator
@inline
function touch(from: i32, to: i32): void {
  let seen = 0
  for (let i = from; i < to; i++) {
    const v = get(sa, i)
    // Rows that are not placed yet hold anything.
    const at: i32 = <u32>v < <u32>n ? v - 1 : 0
    seen ^= <i32>load<u8>(text + <usize>at)
  }
  store<i32>(SINK, seen)
}

/**
 * S-type suffixes, from the last bucket to the first and in each from the last row to the first. RMS suffixes are in place, the
 * first of those that begin with the same two bytes; `firsts` tells how many of each there are in the list they came from.
 */
function induceSmaller(lasts: usize, heads: usize, firsts: usize): void {
  for (let c = 255; c >= 0; c--) {
    const limit = get(heads, c + 1)
    let told = limit >> SAMPLE_BITS
    for (let to = limit; to > get(lasts, c); ) {
      const block = (to - 1) >> SAMPLE_BITS
      const placed = get(lasts, c)
      if (block < told && placed <= block << SAMPLE_BITS) told = tellPlaced(block, placed)
      const from = max<i32>(block << SAMPLE_BITS, placed)
      touch(from, to)
      const keep = load<u8>(dense + <usize>block) != 0
      for (let i = to - 1; i >= from; i--) {
        const v = get(sa, i)
        const open = v < AFTER_LARGER
        const at = open ? v - 1 : 0
        const c1 = <i32>load<u8>(text + <usize>at)
        const before = <i32>load<u8>(text + <usize>at - 1)
        const bucket = open ? c1 : 256
        const b = get(lasts, bucket) - 1
        const final = keep ? v | KEPT : c1 | FINAL
        set(sa, i, open ? final : v & POSITION)
        set(sa, b, before > c1 ? at | AFTER_LARGER : at)
        set(lasts, bucket, b + <i32>!open)
      }
      to = from
    }
    for (let c0 = 0; c0 < c; c0++) {
      const key = (c0 << 8) | c
      set(lasts, c0, get(lasts, c0) - (get(firsts, key + 1) - get(firsts, key)))
    }
  }
}

/** L-type suffixes, from the first row to the last. `heads` has a bucket 256 for what is not placed. */
function induceLarger(heads: usize, limits: usize): void {
  const c = <i32>load<u8>(text + <usize>(n - 1))
  const row = get(heads, c)
  const last = <i32>load<u8>(text + <usize>(n - 2))
  set(heads, c, row + 1)
  set(sa, row, last < c ? (n - 1) | KEPT : n - 1)
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
      const final = (c1 == SEPARATOR) | keep ? v | KEPT : c1 | FINAL
      set(sa, i, open ? final : v == 0 ? KEPT : v)
      set(sa, b, before < c1 ? at | KEPT : at)
      store<u8>(FILLING + <usize>((bucket << 6) + (b & 63)), <u8>before)
      set(heads, bucket, b + <i32>open)
      if ((b & 63) == 63 && b >= get(limits, bucket) && b >= to) fill(b >> SAMPLE_BITS, bucket, get(sa, b - 63), at)
    }
  }
  tellFull()
}

/** pairs (65,537 numbers) = the first row of the suffixes that begin with each two bytes; the last suffix has a zero behind it. */
function pairRows(pairs: usize): void {
  const mark = heapTop()
  // Pairs that begin at even places, the first byte low, then at odd ones: what follows itself waits for no store.
  const odd = reserve(65536 << 2)
  const even = pairs
  memory.fill(even, 0, 65536 << 2)
  memory.fill(odd, 0, 65536 << 2)
  const after = load<u8>(text + <usize>n)
  store<u8>(text + <usize>n, 0)
  for (let i = 0; i < n; i += 2) {
    const own = even + (<usize>load<u16>(text + <usize>i) << 2)
    store<i32>(own, load<i32>(own) + 1)
    const next = odd + (<usize>load<u16>(text + <usize>i + 1) << 2)
    store<i32>(next, load<i32>(next) + <i32>(i + 1 < n))
  }
  store<u8>(text + <usize>n, after)
  for (let pair = 0; pair < 65536; pair++) set(odd, pair, get(odd, pair) + get(even, pair))
  let sum = 0
  for (let key = 0; key < 65536; key++) {
    set(pairs, key, sum)
    sum += get(odd, ((key & 255) << 8) | (key >> 8))
  }
  set(pairs, 65536, sum)
  release(mark)
}

/** Every place keeps its position, and tells its byte when all are sorted. */
function sortPlainly(): void {
  sortSuffixes<u8>(text, n, 256, sa, 0)
  for (let i = 0; i < n; i++) set(sa, i, get(sa, i) | KEPT)
}

function sortAndInduce(): void {
  const pairs = reserve(65537 << 2)
  const firsts = reserve(65537 << 2)
  const heads = reserve(257 * 4)
  const others = reserve(257 * 4)
  pairRows(pairs)
  if (sortRms(text, n, sa, pairs, firsts) < 0) {
    sortPlainly()
    return
  }
  // The list is at the beginning of sa, so its last parts leave first.
  for (let key = 65535; key >= 0; key--) {
    const from = get(firsts, key)
    memory.copy(sa + (<usize>get(pairs, key) << 2), sa + (<usize>from << 2), <usize>(get(firsts, key + 1) - from) << 2)
  }
  // What is not placed goes to a row that fills no block.
  const spare = ((n + 63) & ~63) + 1
  for (let c = 0; c < 256; c++) {
    set(heads, c, get(pairs, c << 8))
    set(others, c, get(pairs, (c + 1) << 8))
  }
  set(heads, 256, n)
  set(others, 256, spare + 1)
  induceSmaller(others, heads, firsts)
  set(heads, 256, spare)
  for (let c = 0; c <= 256; c++) set(others, c, get(heads, c) + 63)
  induceLarger(heads, others)
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
  openBlockNotes(text, n, sa, dense, sampled)
  const mark = heapTop()
  const byteBefore = load<u8>(text - 1)
  store<u8>(text - 1, <u8>SEPARATOR)
  if (n < 2) set(sa, 0, KEPT)
  else sortAndInduce()
  const count = finish(text, n, sa, starts, rows, numbers, dense, chooseDense(text, n, sa, dense, sampled), sampled, firsts)
  store<u8>(text - 1, byteBefore)
  release(mark)
  return count
}
