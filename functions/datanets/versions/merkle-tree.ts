import { createKeccak } from 'hash-wasm'

/**
 * Positional Merkle tree over keccak256: a leaf is keccak256(keccak256(bytes)) (hashed twice, so that no inner node can
 * pose as a leaf), a node is keccak256(left || right), places past the last leaf hold 32 zero bytes, and the tree is as
 * high as the number of leaves asks for (one leaf is its own root, none gives the zero root).
 */
export const ZERO = new Uint8Array(32)

const keccak = await createKeccak(256)
export const keccak256 = (...parts: Uint8Array[]): Uint8Array => {
  keccak.init()
  for (const part of parts) keccak.update(part)
  return keccak.digest('binary')
}

export const leafOf = (bytes: Uint8Array): Uint8Array => keccak256(keccak256(bytes))

/** Root of leaves that arrive one by one; keeps one node a level. */
export class MerkleRoot {
  private readonly waiting: (Uint8Array | undefined)[] = []
  private leaves = 0

  add(leaf: Uint8Array): void {
    this.leaves++
    let node = leaf
    for (let level = 0; ; level++) {
      const left = this.waiting[level]
      if (!left) {
        this.waiting[level] = node
        return
      }
      this.waiting[level] = undefined
      node = keccak256(left, node)
    }
  }

  root(): Uint8Array {
    const height = this.leaves === 0 ? 0 : Math.ceil(Math.log2(this.leaves))
    let empty: Uint8Array = ZERO
    let node: Uint8Array | undefined
    for (let level = 0; level < height; level++) {
      const left = this.waiting[level]
      if (left) node = keccak256(left, node ?? empty)
      else if (node) node = keccak256(node, empty)
      empty = keccak256(empty, empty)
    }
    return node ?? this.waiting[height] ?? ZERO
  }
}

/** Siblings from the leaf at `position` up to the root. */
export const proofOf = (leaves: Uint8Array[], position: number): Uint8Array[] => {
  const proof: Uint8Array[] = []
  let level = leaves
  let empty: Uint8Array = ZERO
  for (let at = position; level.length > 1; at >>= 1) {
    proof.push(level[at ^ 1] ?? empty)
    const above: Uint8Array[] = []
    for (let left = 0; left < level.length; left += 2)
      above.push(keccak256(level[left] as Uint8Array, level[left + 1] ?? empty))
    level = above
    empty = keccak256(empty, empty)
  }
  return proof
}

/** The root that a leaf, its position and its siblings give. */
export const rootFrom = (leaf: Uint8Array, position: number, proof: Uint8Array[]): Uint8Array =>
  proof.reduce(
    ({ node, at }, sibling) => ({ node: at & 1 ? keccak256(sibling, node) : keccak256(node, sibling), at: at >> 1 }),
    { node: leaf, at: position },
  ).node

export const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`
export const bytes32 = (text: string): Uint8Array => Buffer.from(text.slice(2), 'hex')
