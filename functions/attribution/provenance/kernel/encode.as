// From a suffix array to the body of an index file.

import { CHUNK, CLASS_BYTES, encodeChunk, loadBits, storeBits, width } from './chunk'
import { heapTop, release, reserve } from './heap'
import { BLOCK, buildTree } from './tree'

const SEPARATOR: i32 = 0xff
const COUNTS: usize = memory.data(256 * 4, 4)
const NODES: usize = memory.data(256 * 8, 8)
const CURSORS: usize = memory.data(256 * 4, 4)
const CODES: usize = memory.data(256 * 4, 4)
const SYMBOLS: usize = memory.data(256, 4)
/** A block's bits before compression: at most 8 a symbol on average, and a chunk more. */
const BITS: usize = memory.data(BLOCK + 64, 8)

/** A row for every 4,096 bytes of text: the one that holds the first of them. */
const GUIDE_BITS: i32 = 12
let guide: usize = 0
let guided: i32 = 0

/** Takes memory from the heap. */
function openGuide(n: i32, starts: usize, rows: i32): void {
  guide = reserve(((<usize>n >> GUIDE_BITS) + 1) << 2)
  guided = n >> GUIDE_BITS
  let row = 0
  for (let piece = 0; piece <= guided; piece++) {
    while (row + 1 < rows && load<i32>(starts + (<usize>(row + 1) << 2)) <= piece << GUIDE_BITS) row++
    store<i32>(guide + (<usize>piece << 2), row)
  }
}

/** The row whose text holds a position: the last start that is not behind it. */
function rowAt(starts: usize, rows: i32, position: u32): i32 {
  const piece = guide + (<usize>(position >> GUIDE_BITS) << 2)
  let low = load<i32>(piece)
  let high = position >> GUIDE_BITS < <u32>guided ? load<i32>(piece, 4) : rows - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (load<u32>(starts + (<usize>middle << 2)) <= position) low = middle
    else high = middle - 1
  }
  return low
}

/** Every 64th suffix tells its row. */
export const SAMPLE_BITS: i32 = 6
export const SAMPLE_EVERY: i32 = 64
/** A block of 64 suffixes can be dense when all share this many bytes: an interval of a pattern is likely to cover it. */
const SHARED: usize = 24
/** At most one block in so many is dense, so that samples are at most half as many again. */
const DENSE_IN: i32 = 256
const LEAST: i32 = 3
const MOST: i32 = 255
const SCORES: usize = memory.data((MOST + 1) * 4, 4)
const SEEN: usize = memory.data(256, 4)
/** The bytes before the suffixes of a block. */
const BYTES: usize = memory.data(SAMPLE_EVERY, 8)

// @ts-ignore: decorator
@inline
function numberAt(starts: usize, rows: i32, numbers: usize, position: u32): u32 {
  return load<u32>(numbers + (<usize>rowAt(starts, rows, position) << 2))
}

// @ts-ignore: decorator
@inline
function before(text: usize, p: u32): u8 {
  return p == 0 ? <u8>SEPARATOR : load<u8>(text + <usize>p - 1)
}

/** Different bytes before the suffixes of a whole block that share a long prefix, else 0. */
function variety(text: usize, n: i32, sa: usize): i32 {
  const first = load<u32>(sa)
  const last = load<u32>(sa, (SAMPLE_EVERY - 1) * 4)
  if (max<u32>(first, last) + <u32>SHARED > <u32>n) return 0
  for (let i: usize = 0; i < SHARED; i++) {
    const byte = load<u8>(text + <usize>first + i)
    if (byte != load<u8>(text + <usize>last + i) || byte == SEPARATOR) return 0
  }
  memory.fill(SEEN, 0, 256)
  let different = 0
  for (let i = 0; i < SAMPLE_EVERY; i++) {
    const p = SEEN + <usize>before(text, load<u32>(sa + (<usize>i << 2)))
    different += 1 - <i32>load<u8>(p)
    store<u8>(p, 1)
  }
  return different
}

/**
 * Chooses the blocks of 64 suffixes that all tell their row: a bit each in `dense` (a byte a block is used meanwhile). First come
 * those in the widest intervals and with the most different bytes before them, and of these the first. Returns how many.
 */
export function chooseDense(text: usize, n: i32, sa: usize, dense: usize): i32 {
  const whole = n >> SAMPLE_BITS
  let run = 0
  for (let b = 0; b <= whole; b++) {
    const different = b < whole ? variety(text, n, sa + (<usize>b << (SAMPLE_BITS + 2))) : 0
    store<u8>(dense + <usize>b, <u8>different)
    if (different >= LEAST) run++
    else {
      // What stands in one interval of many blocks is asked for as one.
      for (let i = b - run; i < b; i++) {
        const p = dense + <usize>i
        store<u8>(p, <u8>min<i32>(load<u8>(p) + run, MOST))
      }
      run = 0
    }
  }
  memory.fill(SCORES, 0, (MOST + 1) * 4)
  for (let b = 0; b < whole; b++) {
    const p = SCORES + (<usize>load<u8>(dense + <usize>b) << 2)
    store<i32>(p, load<i32>(p) + 1)
  }
  let room = (whole + DENSE_IN - 1) / DENSE_IN
  let least = MOST + 1
  while (least > LEAST && load<i32>(SCORES + (<usize>(least - 1) << 2)) <= room) {
    least--
    room -= load<i32>(SCORES + (<usize>least << 2))
  }
  // `room` blocks of one score less find a place.
  let chosen = 0
  let bits: u8 = 0
  for (let b = 0; b < (whole + 64) >> 6 << 6; b++) {
    const score = b < whole ? <i32>load<u8>(dense + <usize>b) : 0
    let one = score >= least
    if (!one && score >= LEAST && score == least - 1 && room > 0) {
      one = true
      room--
    }
    bits |= <u8>one << <u8>(b & 7)
    chosen += <i32>one
    if ((b & 7) == 7) {
      store<u8>(dense + <usize>(b >> 3), bits)
      bits = 0
    }
  }
  return chosen
}

/**
 * Overwrites sa with the Burrows-Wheeler transform, one byte a suffix, and tells `numbers[row]` for every 64th suffix and every
 * suffix of a dense block (samples) and for every suffix that begins a row (firsts).
 */
export function transform(
  text: usize,
  n: i32,
  sa: usize,
  starts: usize,
  rows: i32,
  numbers: usize,
  dense: usize,
  samples: usize,
  firsts: usize,
): void {
  const mark = heapTop()
  openGuide(n, starts, rows)
  const byteBefore = load<u8>(text - 1)
  store<u8>(text - 1, <u8>SEPARATOR)
  let sample = samples
  let first = firsts
  for (let from = 0; from < n; from += SAMPLE_EVERY) {
    const count = min<i32>(SAMPLE_EVERY, n - from)
    const suffixes = sa + (<usize>from << 2)
    // Nothing but independent loads: the processor overlaps their cache misses.
    for (let i = 0; i < count; i++)
      store<u8>(BYTES + <usize>i, load<u8>(text + <usize>load<u32>(suffixes + (<usize>i << 2)) - 1))
    const block = from >> SAMPLE_BITS
    const told = (load<u8>(dense + <usize>(block >> 3)) >> <u8>(block & 7)) & 1 ? SAMPLE_EVERY : 1
    for (let i = 0; i < told; i++) {
      store<u32>(sample, numberAt(starts, rows, numbers, load<u32>(suffixes + (<usize>i << 2))))
      sample += 4
    }
    for (let i = 0; i < count; i++) {
      if (load<u8>(BYTES + <usize>i) != SEPARATOR) continue
      store<u32>(first, numberAt(starts, rows, numbers, load<u32>(suffixes + (<usize>i << 2))))
      first += 4
    }
    memory.copy(sa + <usize>from, BYTES, <usize>count)
  }
  store<u8>(text - 1, byteBefore)
  release(mark)
}

/** Packs u32 numbers of `bits` bits each; returns the end. */
export function packNumbers(numbers: usize, count: i32, bits: i32, to: usize): usize {
  const bytes = <usize>((<u64>count * <u64>bits + 7) >> 3)
  memory.fill(to, 0, bytes + 16)
  let at: usize = to
  let shift = 0
  for (let i = 0; i < count; i++) {
    storeBits(at, shift, <u64>load<u32>(numbers + (<usize>i << 2)))
    shift += bits
    at += <usize>(shift >> 3)
    shift &= 7
  }
  return to + bytes
}

function storeVariable(to: usize, value: u32): usize {
  while (value >= 128) {
    store<u8>(to++, <u8>(value | 128))
    value >>= 7
  }
  store<u8>(to++, <u8>value)
  return to
}

/** The alphabet (a bit map of 32 bytes), then every block. Returns the end. */
export function encodeBlocks(bwt: usize, n: i32, to: usize): usize {
  memory.fill(to, 0, 32)
  for (let i = 0; i < n; i++) {
    const byte = load<u8>(bwt + <usize>i)
    const p = to + <usize>(byte >> 3)
    store<u8>(p, load<u8>(p) | (<u8>1 << (byte & 7)))
  }
  let sigma = 0
  for (let byte = 0; byte < 256; byte++)
    if ((load<u8>(to + <usize>(byte >> 3)) >> <u8>(byte & 7)) & 1) store<u8>(SYMBOLS + <usize>byte, <u8>(sigma++))
  to += 32
  for (let from = 0; from < n; from += BLOCK) to = encodeBlock(bwt + <usize>from, min<i32>(BLOCK, n - from), sigma, to)
  return to
}

function encodeBlock(from: usize, length: i32, sigma: i32, to: usize): usize {
  memory.fill(COUNTS, 0, 1024)
  for (let i = 0; i < length; i++) {
    const p = COUNTS + (<usize>load<u8>(SYMBOLS + <usize>load<u8>(from + <usize>i)) << 2)
    store<u32>(p, load<u32>(p) + 1)
  }
  // Which symbols the block holds, and all counts but the last, which is what remains.
  const held = to
  const bytes = (sigma + 7) >> 3
  memory.fill(held, 0, bytes)
  to += bytes
  let rest = length
  for (let s = 0; s < sigma; s++) {
    const count = load<u32>(COUNTS + (<usize>s << 2))
    if (count == 0) continue
    const p = held + <usize>(s >> 3)
    store<u8>(p, load<u8>(p) | (<u8>1 << <u8>(s & 7)))
    rest -= count
    if (rest > 0) to = storeVariable(to, count)
  }
  const nodes = buildTree(COUNTS, sigma, NODES, CODES, 4)
  if (nodes == 0) return to
  memory.fill(BITS, 0, BLOCK + 64)
  for (let k = 0; k < nodes; k++)
    store<u32>(CURSORS + (<usize>k << 2), <u32>(load<u64>(NODES + (<usize>k << 3)) & 0xfffff))
  let total = 0
  for (let i = 0; i < length; i++) {
    const s = load<u8>(SYMBOLS + <usize>load<u8>(from + <usize>i))
    const code = load<u32>(CODES + (<usize>s << 2))
    const path = code >> 5
    let node = 0
    for (let turn = <i32>(code & 31) - 1; turn >= 0; turn--) {
      const cursor = CURSORS + (<usize>node << 2)
      const at = load<u32>(cursor)
      store<u32>(cursor, at + 1)
      const bit = (path >> turn) & 1
      const p = BITS + <usize>(at >> 3)
      store<u8>(p, load<u8>(p) | <u8>(bit << (at & 7)))
      node = <i32>(load<u64>(NODES + (<usize>node << 3)) >> (bit ? 49 : 40)) & 511
      total++
    }
  }
  return encodeChunks(total, to)
}

/** One chunk more than whole ones, so that every position up to the end lies in one. */
function encodeChunks(total: i32, to: usize): usize {
  const chunks = total / CHUNK + 1
  for (let first = 0; first < chunks; first += 16) {
    const count = min<i32>(16, chunks - first)
    memory.fill(to, 0, 12 + 16 * 8 + 16)
    const offsets = to + CLASS_BYTES
    let at = 0
    for (let i = 0; i < count; i++) {
      const bits = loadBits(BITS, (first + i) * CHUNK, CHUNK)
      const ones = <i32>popcnt<u64>(bits)
      storeBits(to, 6 * i, <u64>ones)
      storeBits(offsets, at, encodeChunk(bits, ones))
      at += width(ones)
    }
    to = offsets + <usize>((at + 7) >> 3)
  }
  return to
}
