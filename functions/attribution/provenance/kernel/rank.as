// The transformed text, opened for rank queries: for every block the symbols' counts before it, its Huffman tree, and for every
// superblock of its bits where it starts and how many ones come before (16 bytes: u32 address, u32 ones before, and for its
// quarters from the second on, 10 bits each, the ones and the bits of offsets between). All of it is derived from the file when
// it is opened.

import { CHUNK, CLASS_BYTES, decodeChunk, loadBits, sumOfFour, SUPERBLOCK, width } from './chunk'
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
/** Per block: u32 address of its nodes, u32 address of its superblocks. */
let blocks: usize = 0

// @ts-ignore: decorator
@inline
function entryOf(block: i32, s: i32): usize {
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
  const chunks = bits / CHUNK + 1
  const superblocks = reserve(<usize>((chunks + 15) >> 4) << 4)
  store<u32>(block, <u32>superblocks, 4)
  let ones = 0
  for (let first = 0; first < chunks; first += 16) {
    const superblock = superblocks + (<usize>(first >> 4) << 4)
    store<u32>(superblock, <u32>from)
    store<u32>(superblock, <u32>ones, 4)
    // Sums over the quarters so far, as sumOfFour tells them; classes behind the last chunk are 0.
    const one = sumOfFour(from)
    const two = one + sumOfFour(from + 3)
    const three = two + sumOfFour(from + 6)
    const four = three + sumOfFour(from + 9)
    store<u64>(superblock, <u64>one | (<u64>two << 20) | (<u64>three << 40), 8)
    ones += four & 1023
    const offsets = four >> 10
    from += CLASS_BYTES + <usize>((offsets + 7) >> 3)
  }
  return from
}

/** The chunk that onesAndBit read last: its bits below decodedTo, the one it was asked for. */
let decoded: u64 = 0
let decodedTo: i32 = 0

// What `seek` found for a position: its superblock's classes, its chunk, its bit in the chunk, the chunk's class, the ones
// before the chunk, and the bits of offsets before it.
let classes: usize = 0
let bit: i32 = 0
let ones: i32 = 0
let before: i32 = 0
let offset: i32 = 0

// @ts-ignore: decorator
@inline
function seek(superblocks: usize, at: i32): void {
  const index = at / SUPERBLOCK
  const superblock = superblocks + (<usize>index << 4)
  const inside = at - index * SUPERBLOCK
  const chunk = inside / CHUNK
  const quarter = chunk >> 2
  classes = <usize>load<u32>(superblock)
  const held = quarter == 0 ? 0 : <i32>(load<u64>(superblock, 8) >> <u64>(20 * quarter - 20))
  let b = load<i32>(superblock, 4) + (held & 1023)
  let o = (held >> 10) & 1023
  // Four classes are three bytes.
  let four = load<i32>(classes + <usize>(3 * quarter))
  for (let i = chunk & 3; i > 0; i--) {
    const k = four & 63
    b += k
    o += width(k)
    four >>= 6
  }
  bit = inside - chunk * CHUNK
  ones = four & 63
  before = b
  offset = o
}

/** Twice the ones before bit `at` of a block, plus the bit. */
// @ts-ignore: decorator
@inline
function onesAndBit(superblocks: usize, at: i32): i32 {
  seek(superblocks, at)
  const k = ones
  const q = bit
  decodedTo = q
  if (k == 0 || k == CHUNK) {
    decoded = k == 0 ? 0 : ~0
    return k == 0 ? before << 1 : ((before + q) << 1) | 1
  }
  const bits = decodeChunk(loadBits(classes + CLASS_BYTES, offset, width(k)), k, q)
  decoded = bits
  return ((before + <i32>popcnt<u64>(bits & ((<u64>1 << <u64>q) - 1))) << 1) | <i32>((bits >> <u64>q) & 1)
}

let downNode: i32 = 0

/** One turn of a code from a node: the position in the child, whose name is in downNode. `before`: ones before the position. */
// @ts-ignore: decorator
@inline
function down(code: u32, turn: i32, word: u64, r: i32, before: i32): i32 {
  const ones = before - <i32>((word >> 20) & 0xfffff)
  const one = (code >> (5 + turn)) & 1
  downNode = <i32>(word >> (one ? 49 : 40)) & 511
  return one ? ones : r - ones
}

/** The turns that are left of a code. */
function rankFrom(code: u32, turn: i32, nodes: usize, superblocks: usize, node: i32, r: i32): i32 {
  for (; turn >= 0 && r > 0; turn--) {
    const word = load<u64>(nodes + (<usize>node << 3))
    r = down(code, turn, word, r, onesAndBit(superblocks, <i32>(word & 0xfffff) + r) >> 1)
    node = downNode
  }
  return r
}

/** Ones before bit `at`, after onesAndBit told `last` for at + width: bits of the chunk just decoded need no second look. */
// @ts-ignore: decorator
@inline
function onesEarlier(superblocks: usize, at: i32, width: i32, last: i32): i32 {
  if (width > decodedTo) return onesAndBit(superblocks, at) >> 1
  return last - <i32>popcnt<u64>((decoded >> <u64>(decodedTo - width)) & ((<u64>1 << <u64>width) - 1))
}

/** Both ends of an interval, as the last rankBoth left them. */
export let rankLo: i32 = 0
export let rankHi: i32 = 0

const SINK: usize = memory.data(8, 8)

/** Loads what onesAndBit will read for two positions, waiting for nothing: their cache misses overlap. */
// @ts-ignore: decorator
@inline
function touch(superblocks: usize, at: i32, others: usize, other: i32): void {
  const index = <u32>at / SUPERBLOCK
  const second = <u32>other / SUPERBLOCK
  const held = <usize>load<u32>(superblocks + (<usize>index << 4))
  const further = <usize>load<u32>(others + (<usize>second << 4))
  // Offsets take about five bits of eight.
  const here = CLASS_BYTES + <usize>((<u32>at - index * SUPERBLOCK) >> 4)
  const there = CLASS_BYTES + <usize>((<u32>other - second * SUPERBLOCK) >> 4)
  store<u8>(SINK, load<u8>(held) ^ load<u8>(further) ^ load<u8>(held + here) ^ load<u8>(further + there))
}

/** rankBoth for ends in two blocks: their trees differ, but they are gone down together. */
function rankApart(s: i32, lo: i32, hi: i32): void {
  const entry = entryOf(lo >> BLOCK_BITS, s)
  const entryHi = entryOf(hi >> BLOCK_BITS, s)
  const block = blocks + (<usize>(lo >> BLOCK_BITS) << 3)
  const blockHi = blocks + (<usize>(hi >> BLOCK_BITS) << 3)
  const code = load<u32>(entry, 4)
  const codeHi = load<u32>(entryHi, 4)
  rankLo = load<i32>(entry)
  rankHi = load<i32>(entryHi)
  let r = lo & (BLOCK - 1)
  let rHi = hi & (BLOCK - 1)
  let turn = r == 0 || code == ABSENT ? -1 : <i32>(code & 31) - 1
  let turnHi = rHi == 0 || codeHi == ABSENT ? -1 : <i32>(codeHi & 31) - 1
  const nodes = <usize>load<u32>(block)
  const nodesHi = <usize>load<u32>(blockHi)
  const superblocks = <usize>load<u32>(block, 4)
  const superblocksHi = <usize>load<u32>(blockHi, 4)
  let node = 0
  let nodeHi = 0
  while (turn >= 0 && turnHi >= 0) {
    const word = load<u64>(nodes + (<usize>node << 3))
    const wordHi = load<u64>(nodesHi + (<usize>nodeHi << 3))
    const at = <i32>(word & 0xfffff) + r
    const atHi = <i32>(wordHi & 0xfffff) + rHi
    touch(superblocks, at, superblocksHi, atHi)
    r = down(code, turn--, word, r, onesAndBit(superblocks, at) >> 1)
    node = downNode
    if (r == 0) turn = -1
    rHi = down(codeHi, turnHi--, wordHi, rHi, onesAndBit(superblocksHi, atHi) >> 1)
    nodeHi = downNode
    if (rHi == 0) turnHi = -1
  }
  if (turn >= 0) r = rankFrom(code, turn, nodes, superblocks, node, r)
  if (turnHi >= 0) rHi = rankFrom(codeHi, turnHi, nodesHi, superblocksHi, nodeHi, rHi)
  if (code != ABSENT) rankLo += r
  if (codeHi != ABSENT) rankHi += rHi
}

/** rank(s, lo) and rank(s, hi), lo < hi. Narrow intervals, which are most, lie in one block, and often in one chunk of its bits. */
export function rankBoth(s: i32, lo: i32, hi: i32): void {
  const b = lo >> BLOCK_BITS
  if (b != hi >> BLOCK_BITS) {
    rankApart(s, lo, hi)
    return
  }
  const entry = entryOf(b, s)
  const before = load<i32>(entry)
  const code = load<u32>(entry, 4)
  rankLo = before
  rankHi = before
  if (code == ABSENT) return
  let from = lo & (BLOCK - 1)
  let to = hi & (BLOCK - 1)
  const nodes = <usize>load<u32>(blocks + (<usize>b << 3))
  const superblocks = <usize>load<u32>(blocks + (<usize>b << 3), 4)
  let node = 0
  for (let turn = <i32>(code & 31) - 1; turn >= 0; turn--) {
    const word = load<u64>(nodes + (<usize>node << 3))
    const start = <i32>(word & 0xfffff)
    const earlier = <i32>((word >> 20) & 0xfffff)
    const width = to - from
    if (width > CHUNK) touch(superblocks, start + from, superblocks, start + to)
    const last = onesAndBit(superblocks, start + to) >> 1
    const first = from == 0 ? earlier : onesEarlier(superblocks, start + from, width, last)
    const one = (code >> (5 + turn)) & 1
    from = one ? first - earlier : from - (first - earlier)
    to = one ? last - earlier : to - (last - earlier)
    if (from >= to) return
    node = <i32>(word >> (one ? 49 : 40)) & 511
  }
  rankLo = before + from
  rankHi = before + to
}

/** Suffixes that stepAll steps at once: enough that their cache misses overlap. */
export const LANES: i32 = 32
/** Per lane: u32 its number (as given), node, position in the node, u32 superblocks, u32 nodes, u32 classes of its superblock. */
const LANE: usize = memory.data(32 * 24, 8)

/**
 * For `count` (<= LANES) suffixes (i32 each), the suffixes that begin one symbol before, and those symbols (a byte each). For a
 * separator: firstOf(separator()) + its number among separators.
 */
export function stepAll(suffixes: usize, symbols: usize, count: i32): void {
  let open = LANE
  for (let i = 0; i < count; i++) {
    const suffix = load<i32>(suffixes + (<usize>i << 2))
    const block = blocks + (<usize>(suffix >> BLOCK_BITS) << 3)
    const superblocks = load<u32>(block, 4)
    if (superblocks == 0) {
      reached(suffixes, symbols, i, onlySymbol(suffix >> BLOCK_BITS), suffix & (BLOCK - 1))
      continue
    }
    store<i32>(open, i)
    store<i32>(open, 0, 4)
    store<i32>(open, suffix & (BLOCK - 1), 8)
    store<u32>(open, superblocks, 12)
    store<u32>(open, load<u32>(block), 16)
    open += 24
  }
  // One turn of all trees after another, each in passes: loads that wait for nothing, those they lead to, then the bits.
  while (open > LANE) {
    for (let lane = LANE; lane < open; lane += 24) {
      const word = load<u64>(<usize>load<u32>(lane, 16) + (<usize>load<i32>(lane, 4) << 3))
      const index = ((<u32>word & 0xfffff) + load<u32>(lane, 8)) / SUPERBLOCK
      store<u32>(lane, load<u32>(<usize>load<u32>(lane, 12) + (<usize>index << 4)), 20)
    }
    let seen: u8 = 0
    for (let lane = LANE; lane < open; lane += 24) {
      const held = <usize>load<u32>(lane, 20)
      seen ^= load<u8>(held) ^ load<u8>(held + 64)
    }
    store<u8>(SINK, seen)
    let kept = LANE
    for (let lane = LANE; lane < open; lane += 24) {
      const word = load<u64>(<usize>load<u32>(lane, 16) + (<usize>load<i32>(lane, 4) << 3))
      let r = load<i32>(lane, 8)
      const found = onesAndBit(<usize>load<u32>(lane, 12), <i32>(word & 0xfffff) + r)
      const ones = (found >> 1) - <i32>((word >> 20) & 0xfffff)
      r = found & 1 ? ones : r - ones
      const node = <i32>(word >> (found & 1 ? 49 : 40)) & 511
      if (node >= 256) {
        reached(suffixes, symbols, load<i32>(lane), node - 256, r)
        continue
      }
      store<i32>(kept, load<i32>(lane))
      store<i32>(kept, node, 4)
      store<i32>(kept, r, 8)
      store<u64>(kept, load<u64>(lane, 12), 12)
      kept += 24
    }
    open = kept
  }
}

// @ts-ignore: decorator
@inline
function reached(suffixes: usize, symbols: usize, i: i32, s: i32, r: i32): void {
  const suffix = suffixes + (<usize>i << 2)
  store<u8>(symbols + <usize>i, <u8>s)
  store<i32>(suffix, load<i32>(entryOf(load<i32>(suffix) >> BLOCK_BITS, s)) + r)
}

/** Bits of a block from position `at` to the end of their chunk, `at` lowest; bitsLeft tells how many. */
export let bitsLeft: i32 = 0

function bitsFrom(superblocks: usize, at: i32): u64 {
  seek(superblocks, at)
  bitsLeft = CHUNK - bit
  return decodeChunk(loadBits(classes + CLASS_BYTES, offset, width(ones)), ones, CHUNK - 1) >> <u64>bit
}

/** What `partition` calls for suffixes [lo, hi) before all of which symbol s stands; their marks begin at `marks`. */
type Group = (s: i32, lo: i32, hi: i32, marks: usize) => void

/**
 * Goes one symbol back from all suffixes [lo, hi) of one block at once: `marks`, a byte for each, is put in order of those
 * symbols (stable), and the suffixes reached, which are neighbours, are told by `group`. `spare`: as many bytes.
 */
export function partition(lo: i32, hi: i32, marks: usize, spare: usize, group: Group): void {
  const b = lo >> BLOCK_BITS
  const from = lo & (BLOCK - 1)
  descend(b, load<u32>(blocks + (<usize>b << 3), 4) == 0 ? 256 + onlySymbol(b) : 0, from, from + hi - lo, marks, spare, group)
}

function descend(b: i32, node: i32, from: i32, to: i32, marks: usize, spare: usize, group: Group): void {
  if (node >= 256) {
    const before = load<i32>(entryOf(b, node - 256))
    group(node - 256, before + from, before + to, marks)
    return
  }
  const block = blocks + (<usize>b << 3)
  const superblocks = <usize>load<u32>(block, 4)
  const word = load<u64>(<usize>load<u32>(block) + (<usize>node << 3))
  const start = <i32>(word & 0xfffff)
  const earlier = <i32>((word >> 20) & 0xfffff)
  const onesTo = (onesAndBit(superblocks, start + to) >> 1) - earlier
  const onesFrom = onesEarlier(superblocks, start + from, to - from, onesTo + earlier) - earlier
  const ones = onesTo - onesFrom
  const zeros = to - from - ones
  if (ones > 0 && zeros > 0) {
    let kept = marks
    let moved = spare
    for (let at = from; at < to; ) {
      const bits = bitsFrom(superblocks, start + at)
      const count = min<i32>(bitsLeft, to - at)
      for (let i = 0; i < count; i++) {
        const mark = load<u8>(marks + <usize>(at - from + i))
        const one = <usize>((bits >> <u64>i) & 1)
        store<u8>(kept, mark)
        store<u8>(moved, mark)
        kept += 1 - one
        moved += one
      }
      at += count
    }
    memory.copy(marks + <usize>zeros, spare, <usize>ones)
  }
  if (zeros > 0) descend(b, <i32>(word >> 40) & 511, from - onesFrom, to - onesTo, marks, spare, group)
  if (ones > 0) descend(b, <i32>(word >> 49) & 511, onesFrom, onesTo, marks + <usize>zeros, spare, group)
}

function onlySymbol(b: i32): i32 {
  let s = 0
  while (load<u32>(entryOf(b, s), 4) == ABSENT) s++
  return s
}
