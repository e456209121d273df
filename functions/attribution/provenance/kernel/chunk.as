// Bits in chunks of 63, each a class (its number of ones, 6 bits) and an offset among all chunks of that class (Raman, Raman,
// Rao, "Succinct indexable dictionaries", 2002). Classes near the middle keep their bits as they are: an offset would save
// little there. 16 chunks make a superblock: their classes, then their offsets, padded to a byte.
//
// Offsets are ordered so that they decode in a few steps, not bit by bit: by the ones among a chunk's first 32 bits, then by
// those bits' own offset, then by the other 31 bits'; and each half the same way in quarters, whose offsets are looked up.

import { reserve } from './heap'

export const CHUNK: i32 = 63
export const SUPERBLOCK: i32 = 16 * 63
export const CLASS_BYTES: usize = 12
const PLAIN_FROM: i32 = 22
const ALL: u64 = 0x7fffffffffffffff

/** BINOMIALS[n][k], n and k below 64. */
const BINOMIALS: usize = memory.data(64 * 64 * 8, 8)
/** Bits of an offset, by class. */
const WIDTHS: usize = memory.data(64, 8)
/** SPLITS[k][j], j <= k < PLAIN_FROM: chunks of k ones, of which fewer than j are among the first 32 bits (u64). */
const SPLITS: usize = memory.data(22 * 32 * 8, 8)
/** The same for the two quarters of the first half and of the second (u32, i32 as the largest is 2^29 and a bit). */
const FIRST_SPLITS: usize = memory.data(22 * 32 * 4, 8)
const SECOND_SPLITS: usize = memory.data(22 * 32 * 4, 8)
/** All quarters, by ones, then ascending (u16); where each number of ones begins; a quarter's offset within it. */
let quarters: usize = 0
const QUARTERS_FROM: usize = memory.data(18 * 4, 4)
let offsets: usize = 0
const QUARTERS_NEXT: usize = memory.data(18 * 4, 4)

// @ts-ignore: decorator
@inline
function binomial(n: i32, k: i32): u64 {
  return load<u64>(BINOMIALS + (<usize>((n << 6) + k) << 3))
}

// @ts-ignore: decorator
@inline
export function width(ones: i32): i32 {
  return load<u8>(WIDTHS + <usize>ones)
}

export function prepareChunks(): void {
  for (let n = 0; n < 64; n++) {
    for (let k = 0; k < 64; k++) {
      let value: u64 = 0
      if (k == 0) value = 1
      else if (n > 0) value = binomial(n - 1, k - 1) + binomial(n - 1, k)
      store<u64>(BINOMIALS + (<usize>((n << 6) + k) << 3), value)
    }
  }
  for (let k = 0; k < 64; k++) {
    const few = min<i32>(k, CHUNK - k)
    const bits = few >= PLAIN_FROM ? CHUNK : 64 - <i32>clz<u64>(binomial(CHUNK, few) - 1)
    store<u8>(WIDTHS + <usize>k, few == 0 ? 0 : bits)
  }
  // What no row fills is larger than every offset.
  memory.fill(SPLITS, 0x7f, 22 * 32 * 8)
  memory.fill(FIRST_SPLITS, 0xff, 22 * 32 * 4)
  memory.fill(SECOND_SPLITS, 0xff, 22 * 32 * 4)
  for (let k = 0; k < PLAIN_FROM; k++) {
    let before: u64 = 0
    let first: u64 = 0
    let second: u64 = 0
    for (let j = 0; j <= k; j++) {
      const at = <usize>((k << 5) + j)
      store<u64>(SPLITS + (at << 3), before)
      store<u32>(FIRST_SPLITS + (at << 2), <u32>first)
      store<u32>(SECOND_SPLITS + (at << 2), <u32>second)
      before += binomial(32, j) * binomial(31, k - j)
      first += binomial(16, j) * binomial(16, k - j)
      second += binomial(16, j) * binomial(15, k - j)
    }
  }
  quarters = reserve(65536 * 2)
  offsets = reserve(65536 * 2)
  let from = 0
  for (let k = 0; k <= 16; k++) {
    store<i32>(QUARTERS_FROM + (<usize>k << 2), from)
    from += <i32>binomial(16, k)
  }
  memory.copy(QUARTERS_NEXT, QUARTERS_FROM, 17 * 4)
  for (let bits = 0; bits < 65536; bits++) {
    const k = <usize>popcnt<i32>(bits) << 2
    const at = load<i32>(QUARTERS_NEXT + k)
    store<i32>(QUARTERS_NEXT + k, at + 1)
    store<u16>(quarters + (<usize>at << 1), <u16>bits)
    store<u16>(offsets + (<usize>bits << 1), <u16>(at - load<i32>(QUARTERS_FROM + k)))
  }
}

// @ts-ignore: decorator
@inline
function split32(splits: usize, k: i32, j: i32): u32 {
  return load<u32>(splits + (<usize>((k << 5) + j) << 2))
}

/** The offset of a half (its second quarter has `rest` bits) among those with as many ones. */
function encodeHalf(bits: i32, splits: usize, rest: i32): u64 {
  const k = popcnt<i32>(bits)
  const j = popcnt<i32>(bits & 0xffff)
  const low = <u32>load<u16>(offsets + (<usize>(bits & 0xffff) << 1))
  const high = <u32>load<u16>(offsets + ((<usize>(<u32>bits >> 16)) << 1))
  return <u64>(split32(splits, k, j) + low * <u32>binomial(rest, k - j) + high)
}

// Which number of a row of splits is the last one up to an offset: all are compared, as a branch would be told wrong.

// @ts-ignore: decorator
@inline
function lastUpTo32(row: usize, offset: u32): i32 {
  const own = i32x4.splat(<i32>offset)
  let upTo = i32x4.le_u(v128.load(row), own)
  for (let i: usize = 16; i < 80; i += 16) upTo = i32x4.add(upTo, i32x4.le_u(v128.load(row + i), own))
  const two = i64x2.add(upTo, i64x2.shr_u(upTo, 32))
  return -1 - <i32>(i64x2.extract_lane(two, 0) + i64x2.extract_lane(two, 1))
}

// @ts-ignore: decorator
@inline
function lastUpTo64(row: usize, offset: u64): i32 {
  const own = i64x2.splat(<i64>offset)
  let upTo = i64x2.le_s(v128.load(row), own)
  for (let i: usize = 16; i < 176; i += 16) upTo = i64x2.add(upTo, i64x2.le_s(v128.load(row + i), own))
  return -1 - <i32>(i64x2.extract_lane(upTo, 0) + i64x2.extract_lane(upTo, 1))
}

// @ts-ignore: decorator
@inline
function decodeHalf(offset: u32, k: i32, splits: usize, rest: i32): u64 {
  if (k == 0) return 0
  const j = lastUpTo32(splits + (<usize>k << 7), offset)
  offset -= split32(splits, k, j)
  const each = <u32>binomial(rest, k - j)
  const low = offset / each
  const high = offset - low * each
  return (
    <u64>load<u16>(quarters + (<usize>(load<u32>(QUARTERS_FROM + (<usize>j << 2)) + low) << 1)) |
    (<u64>load<u16>(quarters + (<usize>(load<u32>(QUARTERS_FROM + (<usize>(k - j) << 2)) + high) << 1)) << 16)
  )
}

/** The offset of a chunk, or its bits where the class is kept plain. */
export function encodeChunk(bits: u64, ones: i32): u64 {
  const few = min<i32>(ones, CHUNK - ones)
  if (few >= PLAIN_FROM) return bits
  const rare = ones == few ? bits : bits ^ ALL
  const j = popcnt<i32>(<i32>rare)
  const before = load<u64>(SPLITS + (<usize>((few << 5) + j) << 3))
  return before + encodeHalf(<i32>rare, FIRST_SPLITS, 16) * binomial(31, few - j) + encodeHalf(<i32>(rare >> 32), SECOND_SPLITS, 15)
}

/** The bits of a chunk. */
export function decodeChunk(offset: u64, ones: i32): u64 {
  const few = min<i32>(ones, CHUNK - ones)
  if (few >= PLAIN_FROM) return offset
  const splits = SPLITS + (<usize>few << 8)
  const j = lastUpTo64(splits, offset)
  offset -= load<u64>(splits + (<usize>j << 3))
  const each = binomial(31, few - j)
  const first = offset / each
  const bits = decodeHalf(<u32>first, j, FIRST_SPLITS, 16) | (decodeHalf(<u32>(offset - first * each), few - j, SECOND_SPLITS, 15) << 32)
  return ones == few ? bits : bits ^ ALL
}

/** `count` (0 to 63) bits at a bit position. */
// @ts-ignore: decorator
@inline
export function loadBits(from: usize, at: i32, count: i32): u64 {
  const p = from + <usize>(at >> 3)
  const shift = <u64>(at & 7)
  const value = (load<u64>(p) >> shift) | ((<u64>load<u8>(p, 8) << 1) << (63 - shift))
  return value & ((<u64>1 << <u64>count) - 1)
}

/** Writes bits into cleared memory. */
export function storeBits(to: usize, at: i32, value: u64): void {
  const p = to + <usize>(at >> 3)
  const shift = <u64>(at & 7)
  store<u64>(p, load<u64>(p) | (value << shift))
  store<u8>(p, <u8>(<u64>load<u8>(p, 8) | ((value >> 1) >> (63 - shift))), 8)
}
