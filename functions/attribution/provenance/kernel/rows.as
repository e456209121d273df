// Which rows hold the occurrences in an interval of suffixes. Every 64th suffix tells its row, and so does every suffix that
// begins a row; from any other one walks towards the beginning of its row. An interval walks as one, and is split where not
// the same byte stands before all its suffixes: thousands of identical rows cost little more than one. Where many suffixes
// that share a long prefix are preceded by different bytes, so that they would have to walk one by one, all tell their row
// (dense blocks, chosen by encode.as).

import { firstOf, separator } from './blocks'
import { loadBits } from './chunk'
import { heapTop, release, reserve } from './heap'
import { LANES, partition, stepAll } from './rank'
import { SAMPLE_BITS, SAMPLE_EVERY } from './transform'
import { BLOCK } from './tree'

let samples: usize = 0
let firsts: usize = 0
let bits: i32 = 0
let rows: i32 = 0
/** A bit for every block of 64 suffixes: all of them tell their row. And how many blocks before each 64 do. */
let dense: usize = 0
let denseBefore: usize = 0
/** Bit map of rows already found, clear between calls. */
let seen: usize = 0
/** Numbers of the rows found, and how many. */
let list: usize = 0
let found: i32 = 0
/** Bit map of deleted rows, or 0. */
export let tombstones: usize = 0
let stopAtLive: bool = false

/** `denseBits`: a bit a block, padded to eight bytes. */
export function openRows(denseBits: usize, blocks: i32, sampleBits: usize, firstBits: usize, bitsEach: i32, rowCount: i32): void {
  samples = sampleBits
  firsts = firstBits
  bits = bitsEach
  rows = rowCount
  dense = denseBits
  denseBefore = reserve((<usize>(blocks + 63) >> 6) << 2)
  let sum = 0
  for (let i = 0; i < blocks; i += 64) {
    store<i32>(denseBefore + (<usize>(i >> 6) << 2), sum)
    sum += <i32>popcnt<u64>(load<u64>(dense + <usize>(i >> 3)))
  }
  seen = reserve(<usize>(rowCount >> 3) + 1)
  memory.fill(seen, 0, <usize>(rowCount >> 3) + 1)
  list = reserve(<usize>rowCount << 2)
}

export function useTombstones(bitmap: usize): void {
  tombstones = bitmap
  memory.fill(REMEMBERED, 0, REMEMBER * 12)
}

/** Answers of anyLive by interval: the same stretch comes again and again in repetitive queries. lo, hi, answer + 1. */
const REMEMBER: usize = 1024
const REMEMBERED: usize = memory.data(12288, 4)

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

// @ts-ignore: decorator
@inline
function isDense(block: i32): bool {
  return holds(dense, block)
}

/** The number of a block's first sample. */
function sampleOf(block: i32): i32 {
  const word = load<u64>(dense + (<usize>(block >> 6) << 3)) & ((<u64>1 << <u64>(block & 63)) - 1)
  const before = load<i32>(denseBefore + (<usize>(block >> 6) << 2)) + <i32>popcnt<u64>(word)
  return block + before * (SAMPLE_EVERY - 1)
}

// Suffixes that walk singly, side by side: what each waits for, the others do not.
const WALKING: usize = memory.data(32 * 4, 4)
const STEPPED: usize = memory.data(32, 4)
let walking: i32 = 0

/** Lets a suffix walk to its row. It may be told only when `arrive` is called. */
function send(suffix: i32): void {
  store<i32>(WALKING + (<usize>(walking++) << 2), suffix)
  if (walking == LANES) arrive(LANES / 2)
}

/** Walks until at most so many suffixes are on their way. */
function arrive(most: i32): void {
  while (walking > most) {
    let left = 0
    for (let i = 0; i < walking; i++) {
      const suffix = load<i32>(WALKING + (<usize>i << 2))
      const block = suffix >> SAMPLE_BITS
      const inside = suffix & (SAMPLE_EVERY - 1)
      if (inside == 0 || isDense(block)) take(packed(samples, sampleOf(block) + inside))
      else store<i32>(WALKING + (<usize>(left++) << 2), suffix)
    }
    if (done()) {
      walking = 0
      return
    }
    stepAll(WALKING, STEPPED, left)
    walking = 0
    for (let i = 0; i < left; i++) {
      const next = load<i32>(WALKING + (<usize>i << 2))
      if (<i32>load<u8>(STEPPED + <usize>i) == separator()) take(packed(firsts, next - firstOf(separator())))
      else store<i32>(WALKING + (<usize>(walking++) << 2), next)
    }
  }
}

function done(): bool {
  return found == rows || (stopAtLive && found > 0)
}

// Intervals still to walk: lo, hi, address of their marks (a byte a suffix, 1: its row was taken). All marks lie in one array.
let bottom: usize = 0
let stack: usize = 0
let spare: usize = 0

function push(s: i32, lo: i32, hi: i32, marks: usize): void {
  if (s == separator()) {
    const first = lo - firstOf(s)
    for (let i = 0; i < hi - lo; i++) if (!load<u8>(marks + <usize>i)) take(packed(firsts, first + i))
    return
  }
  store<i32>(stack, lo)
  store<i32>(stack, hi, 4)
  store<u32>(stack, <u32>marks, 8)
  stack += 12
}

/** Suffixes whose row was not taken yet. */
function open(marks: usize, width: i32): i32 {
  let marked = 0
  let i = 0
  for (; i + 8 <= width; i += 8) marked += <i32>popcnt<u64>(load<u64>(marks + <usize>i))
  for (; i < width; i++) marked += load<u8>(marks + <usize>i)
  return width - marked
}

/** One step of the interval on top of the stack. */
function walk(): void {
  stack -= 12
  const lo = load<i32>(stack)
  const end = load<i32>(stack, 4)
  const marks = <usize>load<u32>(stack, 8)
  // An interval stays within a block of the transformed text, and is all dense or not at all; the rest comes later.
  const last = min<i32>(end, (lo & ~(BLOCK - 1)) + BLOCK)
  let block = lo >> SAMPLE_BITS
  const told = isDense(block)
  do block++
  while (block << SAMPLE_BITS < last && isDense(block) == told)
  const hi = min<i32>(last, block << SAMPLE_BITS)
  if (hi < end) push(-1, hi, end, marks + <usize>(hi - lo))
  const width = hi - lo
  if (told) {
    const first = sampleOf(lo >> SAMPLE_BITS) + (lo & (SAMPLE_EVERY - 1))
    for (let i = 0; i < width; i++) if (!load<u8>(marks + <usize>i)) take(packed(samples, first + i))
    return
  }
  for (let at = (lo + SAMPLE_EVERY - 1) & ~(SAMPLE_EVERY - 1); at < hi; at += SAMPLE_EVERY) {
    const p = marks + <usize>(at - lo)
    if (load<u8>(p)) continue
    store<u8>(p, 1)
    take(packed(samples, sampleOf(at >> SAMPLE_BITS)))
  }
  const left = open(marks, width)
  if (left == 0) return
  if (left <= 2 || left < width >> 4) {
    for (let i = 0; i < width && !done(); i++) if (!load<u8>(marks + <usize>i)) send(lo + i)
  } else partition(lo, hi, marks, spare, push)
}

function collect(lo: i32, hi: i32): void {
  found = 0
  const mark = heapTop()
  const width = hi - lo
  const single = width <= 4 || stopAtLive ? min<i32>(width, 4) : 0
  for (let i = 0; i < single; i++) send(lo + i)
  if (stopAtLive) arrive(0)
  if (width > single && !done()) {
    const marks = reserve(<usize>width)
    memory.fill(marks, 0, <usize>width)
    memory.fill(marks, 1, <usize>single)
    spare = reserve(<usize>width + 8)
    bottom = reserve((<usize>width + 2) * 12)
    stack = bottom
    push(-1, lo, hi, marks)
    while (stack > bottom && !done()) walk()
  }
  arrive(0)
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
  const slot = REMEMBERED + (<usize>((lo * 31 + hi) * 0x9e3779b1 >>> 22)) * 12
  if (load<i32>(slot) == lo && load<i32>(slot, 4) == hi && load<i32>(slot, 8) != 0) return load<i32>(slot, 8) == 2
  stopAtLive = true
  collect(lo, hi)
  store<i32>(slot, lo)
  store<i32>(slot, hi, 4)
  store<i32>(slot, found > 0 ? 2 : 1, 8)
  return found > 0
}
