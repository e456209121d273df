import type { Keccak } from './keccak.ts'
import { LEAF_BYTES } from './leaf.ts'

const HASH = 32

/** A tree by levels: level k holds the hashes of its first nodes; every node after them is an empty subtree. */
export interface Tree {
  depth: number
  levels: Uint8Array[]
}

/** emptyRoots[d] = root of an empty tree of depth d; an empty leaf is 32 zero bytes. */
export const emptyRoots = (keccak: Keccak, depth: number): Uint8Array[] => {
  const roots: Uint8Array[] = [new Uint8Array(HASH)]
  while (roots.length <= depth) roots.push(keccak.digest(join(roots.at(-1)!, roots.at(-1)!)))
  return roots
}

/**
 * Builds the positional tree over packed leaves: leaf = keccak256(keccak256(packed)), node = keccak256(left | right).
 * Levels are typed arrays of the populated prefix only. Throws RangeError when the leaves do not fit 2^depth.
 */
export const buildTree = (keccak: Keccak, packed: Uint8Array, depth: number, stride = LEAF_BYTES): Tree =>
  treeOver(keccak, keccak.leaves(packed, stride, packed.length / stride), depth)

export const treeOver = (keccak: Keccak, leaves: Uint8Array, depth: number): Tree => {
  if (leaves.length / HASH > 2 ** depth)
    throw new RangeError(`${leaves.length / HASH} leaves do not fit depth ${depth}`)
  const empty = emptyRoots(keccak, depth)
  const levels = [leaves]
  for (let level = 0; level < depth; level++)
    levels.push(keccak.pairs(even(levels[level]!, empty[level]!), pairsIn(levels[level]!)))
  return { depth, levels }
}

/**
 * Rehashes only the paths above the touched positions (ascending): k leaves cost at most k x depth hashes. Uses up the
 * tree that it is given: levels that keep their width are changed in place, as copying them costs more than the hashes.
 */
export const updateTree = (keccak: Keccak, tree: Tree, packed: Uint8Array, touched: readonly number[]): Tree => {
  const empty = emptyRoots(keccak, tree.depth)
  const count = packed.length / LEAF_BYTES
  if (count > 2 ** tree.depth) throw new RangeError(`${count} leaves do not fit depth ${tree.depth}`)
  const levels: Uint8Array[] = []
  let positions: Uint32Array = Uint32Array.from(touched)
  let nodes = keccak.leaves(gather(packed, positions, LEAF_BYTES), LEAF_BYTES, positions.length)
  for (let level = 0, width = count; ; level++, width = Math.ceil(width / 2)) {
    const grown = widened(tree.levels[level]!, width)
    scatter(nodes, positions, grown)
    levels.push(grown)
    if (level === tree.depth) return { depth: tree.depth, levels }
    positions = parents(positions)
    nodes = keccak.pairs(gatherPairs(grown, positions, empty[level]!), positions.length)
  }
}

export const rootOf = (keccak: Keccak, tree: Tree): Uint8Array =>
  tree.levels[tree.depth]!.length > 0 ? tree.levels[tree.depth]! : emptyRoots(keccak, tree.depth)[tree.depth]!

/** Siblings of a position, lowest level first. */
export const proofOf = (keccak: Keccak, tree: Tree, position: number): Uint8Array[] => {
  const empty = emptyRoots(keccak, tree.depth)
  return tree.levels.slice(0, -1).map((nodes, level) => {
    const sibling = ((position >>> level) ^ 1) * HASH
    return sibling < nodes.length ? nodes.slice(sibling, sibling + HASH) : empty[level]!
  })
}

/** The root that a leaf hash has at a position under these siblings. */
export const rootFromProof = (keccak: Keccak, leaf: Uint8Array, position: number, siblings: readonly Uint8Array[]) =>
  siblings.reduce((node, sibling, level) => {
    const right = Math.floor(position / 2 ** level) % 2 === 1
    return keccak.digest(right ? join(sibling, node) : join(node, sibling))
  }, leaf)

export const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.slice(2), 'hex'))

const join = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  const pair = new Uint8Array(2 * HASH)
  pair.set(left)
  pair.set(right, HASH)
  return pair
}
const pairsIn = (nodes: Uint8Array) => Math.ceil(nodes.length / (2 * HASH))

/** The nodes, with an empty one after an odd last. */
const even = (nodes: Uint8Array, empty: Uint8Array): Uint8Array => {
  if (nodes.length % (2 * HASH) === 0) return nodes
  const padded = new Uint8Array(nodes.length + HASH)
  padded.set(nodes)
  padded.set(empty, nodes.length)
  return padded
}

const widened = (nodes: Uint8Array, width: number): Uint8Array => {
  if (nodes.length === width * HASH) return nodes
  const grown = new Uint8Array(width * HASH)
  grown.set(nodes)
  return grown
}

/** Positions of the parents, each once; `positions` ascend. */
const parents = (positions: Uint32Array): Uint32Array => {
  const result = new Uint32Array(positions.length)
  let count = 0
  for (const position of positions) {
    const parent = position >>> 1
    if (count === 0 || result[count - 1] !== parent) result[count++] = parent
  }
  return result.subarray(0, count)
}

// Copies byte by byte: for pieces this small a subarray each would cost more than the bytes.
const scatter = (nodes: Uint8Array, positions: Uint32Array, into: Uint8Array): void => {
  for (let i = 0, from = 0; i < positions.length; i++)
    for (let to = positions[i]! * HASH, end = to + HASH; to < end; ) into[to++] = nodes[from++]!
}

const gather = (nodes: Uint8Array, positions: Uint32Array, stride: number): Uint8Array => {
  const result = new Uint8Array(positions.length * stride)
  for (let i = 0, to = 0; i < positions.length; i++)
    for (let from = positions[i]! * stride, end = from + stride; from < end; ) result[to++] = nodes[from++]!
  return result
}

/** Both children of each parent; where the right one is beyond the last node, an empty subtree. */
const gatherPairs = (nodes: Uint8Array, positions: Uint32Array, empty: Uint8Array): Uint8Array => {
  const result = gather(nodes, positions, 2 * HASH)
  const last = positions.length - 1
  if (last >= 0 && nodes.length === (2 * positions[last]! + 1) * HASH) result.set(empty, (2 * last + 1) * HASH)
  return result
}
