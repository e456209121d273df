// The transformed text, opened for rank queries (rank.as): for every block the symbols' counts before it, its Huffman tree and its
// bits. The file has them in few bits (chunk.as); opened they stand as they are, 480 beside the ones before them in one line of
// the cache, as a query waits for nothing but memory: docs/decisions/055.

import { CHUNK, CLASS_BYTES, decodeChunk, loadBits, SUPERBLOCK, width } from './chunk'
import { reserve } from './heap'
import { ABSENT, BLOCK, BLOCK_BITS, buildTree } from './tree'

const NONE: u8 = 255
const COUNTS: usize = memory.data(256 * 4, 4)
const TOTALS: usize = memory.data(256 * 4, 4)
/** The number of each byte among the bytes that occur, or NONE. */
const SYMBOLS: usize = memory.data(256, 4)

let sigma: i32 = 0
/** Per block and symbol: u32 suffixes before (of smaller symbols, and of this one in earlier blocks), u32 code. */
let entries: usize = 0
/** Per block: u32 address of its nodes, u32 address of its lines (0: one symbol, no bits). */
export let blocks: usize = 0
/** Bits of a line: u32 ones of the block before it, then they. */
export const LINE: i32 = 480
export const LINE_BYTES: usize = 64

// @ts-ignore: decorator
@inline
export function entryOf(block: i32, s: i32): usize {
  return entries + (<usize>(block * sigma + s) << 3)
}

// @ts-ignore: decorator
@inline
export function separator(): i32 {
  return sigma - 1
}

/** The symbol of a byte, or -1 where no row holds it. */
// @ts-ignore: decorator
@inline
export function symbolOf(byte: i32): i32 {
  const s = load<u8>(SYMBOLS + <usize>byte)
  return s == NONE ? -1 : <i32>s
}

/** First suffix that begins with the symbol. */
export function firstOf(s: i32): i32 {
  return load<i32>(entryOf(0, s))
}

/** What readVariable read last. */
let variable: i32 = 0

function readVariable(from: usize): usize {
  variable = 0
  let shift = 0
  let byte = 0
  do {
    byte = <i32>load<u8>(from++)
    variable |= (byte & 127) << shift
    shift += 7
  } while (byte >= 128)
  return from
}

/** Opens what encodeBlocks wrote for n suffixes. */
export function openBlocks(from: usize, n: i32): void {
  sigma = 0
  for (let byte = 0; byte < 256; byte++) {
    const held = (load<u8>(from + <usize>(byte >> 3)) >> <u8>(byte & 7)) & 1
    store<u8>(SYMBOLS + <usize>byte, held ? <u8>(sigma++) : NONE)
  }
  from += 32
  const count = (n + BLOCK - 1) >> BLOCK_BITS
  entries = reserve(<usize>((count + 1) * sigma) << 3)
  blocks = reserve(<usize>count << 3)
  memory.fill(TOTALS, 0, 1024)
  for (let b = 0; b < count; b++) from = openBlock(from, b, min<i32>(BLOCK, n - (b << BLOCK_BITS)))
  // Suffixes of smaller symbols, added to all.
  let smaller = 0
  for (let s = 0; s < sigma; s++) {
    store<i32>(entryOf(count, s), load<i32>(TOTALS + (<usize>s << 2)))
    for (let b = 0; b <= count; b++) store<i32>(entryOf(b, s), load<i32>(entryOf(b, s)) + smaller)
    smaller += load<i32>(TOTALS + (<usize>s << 2))
  }
}

function openBlock(from: usize, b: i32, length: i32): usize {
  const held = from
  from += (sigma + 7) >> 3
  let symbols = 0
  for (let i = held; i < from; i++) symbols += popcnt<i32>(load<u8>(i))
  let rest = length
  let left = symbols
  for (let s = 0; s < sigma; s++) {
    let count = 0
    if ((load<u8>(held + <usize>(s >> 3)) >> <u8>(s & 7)) & 1) {
      count = rest
      if (--left > 0) {
        from = readVariable(from)
        count = variable
      }
      rest -= count
    }
    store<i32>(COUNTS + (<usize>s << 2), count)
  }
  for (let s = 0; s < sigma; s++) {
    const total = TOTALS + (<usize>s << 2)
    store<i32>(entryOf(b, s), load<i32>(total))
    store<i32>(total, load<i32>(total) + load<i32>(COUNTS + (<usize>s << 2)))
  }
  const nodes = reserve(<usize>symbols << 3)
  const inner = buildTree(COUNTS, sigma, nodes, entryOf(b, 0) + 4, 8)
  const block = blocks + (<usize>b << 3)
  store<u32>(block, <u32>nodes)
  store<u32>(block, 0, 4)
  if (inner == 0) return from
  let bits = 0
  for (let s = 0; s < sigma; s++) {
    const code = load<u32>(entryOf(b, s), 4)
    if (code != ABSENT) bits += load<i32>(COUNTS + (<usize>s << 2)) * <i32>(code & 31)
  }
  const lines = (reserve(<usize>((bits + CHUNK) / LINE + 2) * LINE_BYTES) + LINE_BYTES - 1) & ~(LINE_BYTES - 1)
  store<u32>(block, <u32>lines, 4)
  return writeLines(from, lines, bits)
}

// The line under way, the place in it of the next 32 bits, the ones before that, and the bits that are not written yet.
let line: usize = 0
let linePlace: usize = 0
let lineOnes: i32 = 0
let pending: u64 = 0
let pendingBits: i32 = 0

/** Writes the bits of a block as they are, `count` of them. Returns where they end in the file. */
function writeLines(from: usize, lines: usize, count: i32): usize {
  line = lines
  linePlace = 4
  lineOnes = 0
  pending = 0
  pendingBits = 0
  store<u32>(line, 0)
  for (let left = count + 1; left > 0; left -= SUPERBLOCK) {
    let offset = 0
    for (let i = 0; i < 16; i++) {
      const k = (load<u16>(from + <usize>((6 * i) >> 3)) >> <u16>((6 * i) & 7)) & 63
      const bits = decodeChunk(loadBits(from + CLASS_BYTES, offset, width(k)), k)
      offset += width(k)
      if (i * CHUNK >= left) continue
      append(<u32>bits, 32)
      append(<u32>(bits >> 32) & 0x7fffffff, CHUNK - 32)
    }
    from += CLASS_BYTES + <usize>((offset + 7) >> 3)
  }
  store<u32>(line + linePlace, <u32>pending)
  return from
}

// @ts-ignore: decorator
@inline
function append(bits: u32, count: i32): void {
  pending |= <u64>bits << <u64>pendingBits
  pendingBits += count
  if (pendingBits < 32) return
  store<u32>(line + linePlace, <u32>pending)
  lineOnes += popcnt<i32>(<i32>pending)
  pending >>= 32
  pendingBits -= 32
  linePlace += 4
  if (linePlace < LINE_BYTES) return
  line += LINE_BYTES
  linePlace = 4
  store<u32>(line, lineOnes)
}

/** Of a block without lines. */
export function onlySymbol(b: i32): i32 {
  let s = 0
  while (load<u32>(entryOf(b, s), 4) == ABSENT) s++
  return s
}
