import { readFileSync } from 'node:fs'
import { SimpleMerkleTree } from '@openzeppelin/merkle-tree'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Keccak, loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { LEAF_BYTES, type Leaf, packLeaf, unpackLeaf } from '../../../functions/settlement/epoch/leaf.ts'
import { LeafIndex } from '../../../functions/settlement/epoch/leaf-index.ts'
import {
  buildTree,
  emptyRoots,
  fromHex,
  hex,
  proofOf,
  rootFromProof,
  rootOf,
  updateTree,
} from '../../../functions/settlement/epoch/merkle-tree.ts'
import { rootByFrontier } from '../../../functions/settlement/epoch/root-by-frontier.ts'

interface Vector {
  depth: number
  leaves: { kind: 1 | 2; address: string; amount: string }[]
  root: string
  proofs: string[][]
}
const vectors = JSON.parse(readFileSync(new URL('../../vectors/merkle.json', import.meta.url), 'utf8')) as {
  emptyRoots: string[]
  packed: { kind: 1 | 2; address: string; amount: string; packed: string; leafHash: string }[]
  trees: Vector[]
}
const pack = (leaves: readonly Leaf[]): Uint8Array => {
  const packed = new Uint8Array(leaves.length * LEAF_BYTES)
  leaves.forEach((leaf, i) => {
    packLeaf(leaf, packed, i * LEAF_BYTES)
  })
  return packed
}
const leafOf = ({ kind, address, amount }: { kind: 1 | 2; address: string; amount: string }): Leaf => ({
  kind,
  address,
  amount: BigInt(amount),
})
const leaf = fc.record({
  kind: fc.constantFrom<(1 | 2)[]>(1, 2),
  address: fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => hex(bytes)),
  amount: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
})
const leaves = fc.uniqueArray(leaf, { selector: ({ kind, address }) => `${kind}${address}`, maxLength: 40 })

let keccak: Keccak
beforeAll(async () => {
  keccak = await loadKeccak()
})

describe('the settlement tree', () => {
  it('reproduces the golden vectors that Solidity reads too', async () => {
    expect(emptyRoots(keccak, 32).map(hex)).toEqual(vectors.emptyRoots)
    for (const one of vectors.packed) {
      expect(hex(packLeaf(leafOf(one)))).toBe(one.packed)
      expect(hex(keccak.leaves(packLeaf(leafOf(one)), LEAF_BYTES, 1))).toBe(one.leafHash)
    }
    for (const vector of vectors.trees) {
      const packed = pack(vector.leaves.map(leafOf))
      const tree = buildTree(keccak, packed, vector.depth)
      expect(hex(rootOf(keccak, tree))).toBe(vector.root)
      expect(await rootByFrontier(packed, vector.depth)).toBe(vector.root)
      vector.proofs.forEach((siblings, i) => {
        expect(proofOf(keccak, tree, i).map(hex)).toEqual(siblings)
      })
    }
  })

  it('has the root of the frontier way, proves every leaf, and unpacks what it packed', () =>
    fc.assert(
      fc.asyncProperty(leaves, async (list) => {
        const packed = pack(list)
        const tree = buildTree(keccak, packed, 6)
        const root = hex(rootOf(keccak, tree))
        expect(await rootByFrontier(packed, 6)).toBe(root)
        list.forEach((each, i) => {
          expect(unpackLeaf(packed, i)).toEqual(each)
          const hash = keccak.leaves(packLeaf(each), LEAF_BYTES, 1)
          expect(hex(rootFromProof(keccak, hash, i, proofOf(keccak, tree, i)))).toBe(root)
        })
      }),
      { numRuns: 30 },
    ))

  it('gives the same levels updated as built anew', () =>
    fc.assert(
      fc.property(leaves, leaves, fc.array(fc.nat()), (before, more, picks) => {
        const known = new Set(before.map(({ kind, address }) => `${kind}${address}`))
        const added = more.filter(({ kind, address }) => !known.has(`${kind}${address}`))
        const changed = new Set(before.length > 0 ? picks.map((pick) => pick % before.length) : [])
        const now = [
          ...before.map((each, i) => (changed.has(i) ? { ...each, amount: each.amount / 2n } : each)),
          ...added,
        ]
        const touched = [...[...changed].sort((a, b) => a - b), ...added.map((_, i) => before.length + i)]
        const updated = updateTree(keccak, buildTree(keccak, pack(before), 7), pack(now), touched)
        expect(updated.levels.map(hex)).toEqual(buildTree(keccak, pack(now), 7).levels.map(hex))
      }),
      { numRuns: 50 },
    ))

  it('hashes nodes as OpenZeppelin does, for trees whose order theirs shares', () => {
    // Their tree sorts leaves and pairs; on two sorted leaves it is the same function as ours.
    const list = vectors.packed
      .slice(0, 2)
      .map(({ leafHash }) => leafHash)
      .sort()
    const theirs = SimpleMerkleTree.of(list, { sortLeaves: true })
    expect(hex(keccak.pairs(fromHex(`${list[0]}${list[1]!.slice(2)}`), 1))).toBe(theirs.root)
  })

  it('refuses more leaves than fit, amounts beyond uint128 and one address at two positions', () => {
    const two = pack([1, 2].map((n) => ({ kind: 1 as const, address: `0x${String(n).repeat(40)}`, amount: 1n })))
    expect(() => buildTree(keccak, two, 0)).toThrow(RangeError)
    expect(() => packLeaf({ kind: 1, address: `0x${'1'.repeat(40)}`, amount: 1n << 128n })).toThrow(RangeError)
    expect(
      () => new LeafIndex(pack([1, 1].map(() => ({ kind: 1 as const, address: `0x${'1'.repeat(40)}`, amount: 1n })))),
    ).toThrow(RangeError)
  })
})
