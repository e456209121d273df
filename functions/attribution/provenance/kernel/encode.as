// From the transformed text to the body of an index file.

import { CHUNK, CLASS_BYTES, encodeChunk, loadBits, storeBits, width } from './chunk'
import { BLOCK, buildTree } from './tree'

const COUNTS: usize = memory.data(256 * 4, 4)
const NODES: usize = memory.data(256 * 8, 8)
const CURSORS: usize = memory.data(256 * 4, 4)
const CODES: usize = memory.data(256 * 4, 4)
const SYMBOLS: usize = memory.data(256, 4)
/** A block's bits before compression: at most 8 a symbol on average, and a chunk more. */
const BITS: usize = memory.data(BLOCK + 64, 8)

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
  // Stores that wait for nothing, rather than bits.
  memory.fill(SYMBOLS, 0, 256)
  for (let i = 0; i < n; i++) store<u8>(SYMBOLS + <usize>load<u8>(bwt + <usize>i), 1)
  let sigma = 0
  for (let byte = 0; byte < 256; byte++) {
    if (load<u8>(SYMBOLS + <usize>byte) == 0) continue
    const p = to + <usize>(byte >> 3)
    store<u8>(p, load<u8>(p) | (<u8>1 << <u8>(byte & 7)))
    store<u8>(SYMBOLS + <usize>byte, <u8>(sigma++))
  }
  to += 32
  for (let from = 0; from < n; from += BLOCK) to = encodeBlock(bwt + <usize>from, min<i32>(BLOCK, n - from), sigma, to)
  return to
}

function encodeBlock(from: usize, length: i32, sigma: i32, to: usize): usize {
  memory.fill(COUNTS, 0, 1024)
  for (let i = 0; i < length; i += 64) {
    let at = 0
    for (let ends = runEnds(from + <usize>i, length - i); ends != 0; ends &= ends - 1) {
      const end = <i32>ctz<u64>(ends) + 1
      const p = COUNTS + (<usize>load<u8>(SYMBOLS + <usize>load<u8>(from + <usize>(i + at))) << 2)
      store<u32>(p, load<u32>(p) + (end - at))
      at = end
    }
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
  for (let i = 0; i < length; i += 64) {
    let at = 0
    for (let ends = runEnds(from + <usize>i, length - i); ends != 0; ends &= ends - 1) {
      const end = <i32>ctz<u64>(ends) + 1
      total += encodeRun(load<u8>(SYMBOLS + <usize>load<u8>(from + <usize>(i + at))), end - at)
      at = end
    }
  }
  return encodeChunks(total, to)
}

/** Where runs of one byte end among up to 64 bytes: a bit each, and one for the last. Reads 65 bytes. */
function runEnds(from: usize, count: i32): u64 {
  let same: u64 = 0
  for (let part: usize = 0; part < 64; part += 16) {
    const equal = i8x16.eq(v128.load(from + part), v128.load(from + part, 1))
    same |= (<u64>(<u32>i8x16.bitmask(equal))) << <u64>part
  }
  const last = min<i32>(count, 64) - 1
  return (~same & ((<u64>2 << <u64>last) - 1)) | (<u64>1 << <u64>last)
}

/** Writes the code of a symbol that comes `count` times (64 at most) to the nodes' bits; returns how many bits these are. */
// @ts-ignore: decorator
@inline
function encodeRun(symbol: u8, count: i32): i32 {
  const code = load<u32>(CODES + (<usize>symbol << 2))
  const length = <i32>(code & 31)
  const path = code >> 5
  const ones = <u64>-1 >> <u64>(64 - count)
  let node: usize = 0
  for (let turn = length - 1; turn >= 0; turn--) {
    const cursor = CURSORS + (node << 2)
    const at = load<u32>(cursor)
    store<u32>(cursor, at + count)
    const bit = (path >> turn) & 1
    storeBits(BITS, at, bit ? ones : 0)
    node = <usize>((load<u64>(NODES + (node << 3)) >> (bit ? 49 : 40)) & 511)
  }
  return length * count
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
