// Rank over the transformed text (blocks.as): how often a symbol stands before a suffix, for both ends of an interval, for many
// suffixes side by side, and for all suffixes of an interval at once.

import { blocks, entryOf, LINE, LINE_BYTES, onlySymbol } from './blocks'
import { ABSENT, BLOCK, BLOCK_BITS } from './tree'

/** Bit `at` of a block: its place in its line (the first is 32), and what it stands in. */
let place: i32 = 0
let word: u64 = 0

/** Twice the ones before bit `at` of a block, plus the bit. */
// @ts-ignore: decorator
@inline
function onesAndBit(lines: usize, at: i32): i32 {
  const line = lineOf(lines, at)
  place = at - (at / LINE) * LINE + 32
  let ones = load<i32>(line) - popcnt<i32>(load<i32>(line))
  const end = line + (<usize>(place >> 6) << 3)
  for (let p = line; p < end; p += 8) ones += <i32>popcnt<u64>(load<u64>(p))
  word = load<u64>(end)
  const bit = <u64>(place & 63)
  ones += <i32>popcnt<u64>(word & (((<u64>1) << bit) - 1))
  return (ones << 1) | <i32>((word >> bit) & 1)
}

// @ts-ignore: decorator
@inline
function lineOf(lines: usize, at: i32): usize {
  return lines + <usize>(at / LINE) * LINE_BYTES
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
function rankFrom(code: u32, turn: i32, nodes: usize, lines: usize, node: i32, r: i32): i32 {
  for (; turn >= 0 && r > 0; turn--) {
    const word = load<u64>(nodes + (<usize>node << 3))
    r = down(code, turn, word, r, onesAndBit(lines, <i32>(word & 0xfffff) + r) >> 1)
    node = downNode
  }
  return r
}

/** Both ends of an interval, as the last rankBoth left them. */
export let rankLo: i32 = 0
export let rankHi: i32 = 0

const SINK: usize = memory.data(8, 8)

/** Loads what onesAndBit will read for two positions, waiting for nothing: their cache misses overlap. */
// @ts-ignore: decorator
@inline
function touch(lines: usize, at: i32, others: usize, other: i32): void {
  store<u8>(SINK, load<u8>(lineOf(lines, at)) ^ load<u8>(lineOf(others, other)))
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
  const lines = <usize>load<u32>(block, 4)
  const linesHi = <usize>load<u32>(blockHi, 4)
  let node = 0
  let nodeHi = 0
  while (turn >= 0 && turnHi >= 0) {
    const word = load<u64>(nodes + (<usize>node << 3))
    const wordHi = load<u64>(nodesHi + (<usize>nodeHi << 3))
    const at = <i32>(word & 0xfffff) + r
    const atHi = <i32>(wordHi & 0xfffff) + rHi
    touch(lines, at, linesHi, atHi)
    r = down(code, turn--, word, r, onesAndBit(lines, at) >> 1)
    node = downNode
    if (r == 0) turn = -1
    rHi = down(codeHi, turnHi--, wordHi, rHi, onesAndBit(linesHi, atHi) >> 1)
    nodeHi = downNode
    if (rHi == 0) turnHi = -1
  }
  if (turn >= 0) r = rankFrom(code, turn, nodes, lines, node, r)
  if (turnHi >= 0) rHi = rankFrom(codeHi, turnHi, nodesHi, linesHi, nodeHi, rHi)
  if (code != ABSENT) rankLo += r
  if (codeHi != ABSENT) rankHi += rHi
}

/** rank(s, lo) and rank(s, hi), lo < hi. Narrow intervals, which are most, lie in one block, and often in one line of its bits. */
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
  const lines = <usize>load<u32>(blocks + (<usize>b << 3), 4)
  let node = 0
  for (let turn = <i32>(code & 31) - 1; turn >= 0; turn--) {
    const word = load<u64>(nodes + (<usize>node << 3))
    const start = <i32>(word & 0xfffff)
    const earlier = <i32>((word >> 20) & 0xfffff)
    touch(lines, start + from, lines, start + to)
    const last = onesAndBit(lines, start + to) >> 1
    const first = onesAndBit(lines, start + from) >> 1
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
/** Per lane: u32 its number (as given), node, position in the node, u32 lines, u32 nodes. */
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
    const lines = load<u32>(block, 4)
    if (lines == 0) {
      reached(suffixes, symbols, i, onlySymbol(suffix >> BLOCK_BITS), suffix & (BLOCK - 1))
      continue
    }
    store<i32>(open, i)
    store<i32>(open, 0, 4)
    store<i32>(open, suffix & (BLOCK - 1), 8)
    store<u32>(open, lines, 12)
    store<u32>(open, load<u32>(block), 16)
    open += 24
  }
  // One turn of all trees after another, each in passes: loads that wait for nothing, then the bits.
  while (open > LANE) {
    let seen: u8 = 0
    for (let lane = LANE; lane < open; lane += 24) {
      const word = load<u64>(<usize>load<u32>(lane, 16) + (<usize>load<i32>(lane, 4) << 3))
      seen ^= load<u8>(lineOf(<usize>load<u32>(lane, 12), (<i32>word & 0xfffff) + load<i32>(lane, 8)))
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
  const lines = <usize>load<u32>(block, 4)
  const turns = load<u64>(<usize>load<u32>(block) + (<usize>node << 3))
  const start = <i32>(turns & 0xfffff)
  const earlier = <i32>((turns >> 20) & 0xfffff)
  const onesTo = (onesAndBit(lines, start + to) >> 1) - earlier
  const onesFrom = (onesAndBit(lines, start + from) >> 1) - earlier
  const ones = onesTo - onesFrom
  const zeros = to - from - ones
  if (ones > 0 && zeros > 0) {
    let kept = marks
    let moved = spare
    for (let at = from; at < to; ) {
      onesAndBit(lines, start + at)
      const bits = word >> <u64>(place & 63)
      const count = min<i32>(64 - (place & 63), to - at)
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
  if (zeros > 0) descend(b, <i32>(turns >> 40) & 511, from - onesFrom, to - onesTo, marks, spare, group)
  if (ones > 0) descend(b, <i32>(turns >> 49) & 511, onesFrom, onesTo, marks + <usize>zeros, spare, group)
}
