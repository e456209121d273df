// The Huffman tree of one block of the transformed text. It is made from the symbols' counts alone, the same way when an index
// is built and when it is opened, so only counts are stored.

import { get, set } from './numbers'

/** Symbols of a block. */
export const BLOCK: i32 = 16384
export const BLOCK_BITS: i32 = 14
/** Code of a symbol that the block does not hold. */
export const ABSENT: u32 = 0xffffffff

const KEYS: usize = memory.data(256 * 8, 8)
const WEIGHT: usize = memory.data(512 * 4, 4)
const LEFT: usize = memory.data(512 * 4, 4)
const RIGHT: usize = memory.data(512 * 4, 4)
const QUEUE: usize = memory.data(512 * 4, 4)
const PATH: usize = memory.data(512 * 4, 4)

/**
 * From counts (u32, `sigma` of them) to inner nodes in breadth-first order, 8 bytes each, and codes (u32: length in the low
 * five bits, above it the path, first turn highest), written every `step` bytes. Returns the number of inner nodes.
 *
 * A node: bits 0-19 where its bits start in the block, 20-39 ones before that, 40-48 and 49-57 its children: a node, or
 * 256 + a symbol.
 */
export function buildTree(counts: usize, sigma: i32, nodes: usize, codes: usize, step: usize): i32 {
  let leaves = 0
  for (let s = 0; s < sigma; s++) {
    store<u32>(codes + <usize>s * step, ABSENT)
    const count = get(counts, s)
    if (count == 0) continue
    const key = (<u64>count << 8) | <u64>s
    let at = leaves++
    for (; at > 0 && load<u64>(KEYS + (<usize>(at - 1) << 3)) > key; at--)
      store<u64>(KEYS + (<usize>at << 3), load<u64>(KEYS + (<usize>(at - 1) << 3)))
    store<u64>(KEYS + (<usize>at << 3), key)
  }
  for (let i = 0; i < leaves; i++) set(WEIGHT, i, <i32>(load<u64>(KEYS + (<usize>i << 3)) >> 8))
  if (leaves < 2) {
    if (leaves == 1) store<u32>(codes + <usize>(load<u64>(KEYS) & 255) * step, 0)
    return 0
  }
  // Two queues: leaves by weight, and inner nodes, which come out by weight.
  let leaf = 0
  let inner = leaves
  const root = 2 * leaves - 2
  for (let made = leaves; made <= root; made++) {
    let weight = 0
    for (let side = 0; side < 2; side++) {
      const takeLeaf = leaf < leaves && (inner == made || get(WEIGHT, leaf) <= get(WEIGHT, inner))
      const child = takeLeaf ? leaf++ : inner++
      set(side == 0 ? LEFT : RIGHT, made, child)
      weight += get(WEIGHT, child)
    }
    set(WEIGHT, made, weight)
  }
  let queued = 1
  set(QUEUE, 0, root)
  set(PATH, 0, 0)
  let start = 0
  let ones = 0
  for (let at = 0; at < queued; at++) {
    const node = get(QUEUE, at)
    const path = get(PATH, at)
    let word = <u64>start | (<u64>ones << 20)
    for (let side = 0; side < 2; side++) {
      const child = get(side == 0 ? LEFT : RIGHT, node)
      const code = (((path >> 5) * 2 + side) << 5) | ((path & 31) + 1)
      let name = queued
      if (child < leaves) {
        const s = <i32>(load<u64>(KEYS + (<usize>child << 3)) & 255)
        store<u32>(codes + <usize>s * step, <u32>code)
        name = 256 + s
      } else {
        set(QUEUE, queued, child)
        set(PATH, queued, code)
        queued++
      }
      word |= <u64>name << (side == 0 ? 40 : 49)
    }
    store<u64>(nodes + (<usize>at << 3), word)
    start += get(WEIGHT, node)
    ones += get(WEIGHT, get(RIGHT, node))
  }
  return queued
}
