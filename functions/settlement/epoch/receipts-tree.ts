import type { Keccak } from './keccak.ts'
import { type Tree, treeOver } from './merkle-tree.ts'

/**
 * Tree over the receipts of an epoch, ordered by receipt id: leaf = keccak256(keccak256(canonical JSON of the receipt,
 * without newline)), node and empty leaf as in the settlement tree, depth = the smallest that fits, at least 1.
 * `ids` holds 12 bytes a receipt (its 24 hex digits) in the order of the leaves: the position of a receipt is found by
 * binary search.
 */
export const receiptsTree = (keccak: Keccak, receipts: ReadonlyMap<string, Uint8Array>) => {
  const ordered = [...receipts].sort(([a], [b]) => (a < b ? -1 : 1))
  const leaves = new Uint8Array(ordered.length * 32)
  const ids = Buffer.alloc(ordered.length * 12)
  ordered.forEach(([id, leaf], position) => {
    leaves.set(leaf, position * 32)
    ids.write(id.slice(4), position * 12, 'hex')
  })
  const depth = Math.max(1, Math.ceil(Math.log2(Math.max(1, ordered.length))))
  return { tree: treeOver(keccak, leaves, depth) as Tree, ids: new Uint8Array(ids) }
}

/** `line`: canonical JSON of the receipt in UTF-8, without the newline. */
export const receiptLeaf = (keccak: Keccak, line: Uint8Array): Uint8Array => keccak.digest(keccak.digest(line))

/** Position of a receipt among `ids`, or -1. */
export const receiptPosition = (ids: Uint8Array, receiptId: string): number => {
  const wanted = Buffer.from(receiptId.slice(4), 'hex')
  let low = 0
  let high = ids.length / 12
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = Buffer.compare(ids.subarray(middle * 12, middle * 12 + 12), wanted)
    if (order === 0) return middle
    if (order < 0) low = middle + 1
    else high = middle
  }
  return -1
}
