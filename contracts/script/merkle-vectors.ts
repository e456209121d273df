/** Writes test/vectors/merkle.json from a plain, slow reading of the tree's definition (src/EpochTree.sol), which TypeScript
 * and Solidity must reproduce. It shares no code with either. */
import { writeFileSync } from 'node:fs'
import { concat, keccak256, solidityPacked, ZeroHash } from 'ethers'

interface Leaf {
  kind: number
  address: string
  /** Digit string, 1e-18 OPEN. */
  amount: string
}

const address = (seed: number): string => `0x${keccak256(new Uint8Array([seed])).slice(26)}`
const pack = (leaf: Leaf) => solidityPacked(['uint8', 'address', 'uint128'], [leaf.kind, leaf.address, leaf.amount])
const hash = (leaf: Leaf) => keccak256(keccak256(pack(leaf)))

/** All levels, leaves first; every level has 2^(depth - level) nodes written out. */
function levels(depth: number, leaves: Leaf[]): string[][] {
  let level = Array.from({ length: 2 ** depth }, (_, i) => (leaves[i] ? hash(leaves[i]) : ZeroHash))
  const all = [level]
  while (level.length > 1) {
    const below = level
    level = Array.from({ length: below.length / 2 }, (_, i) => keccak256(concat([below[2 * i]!, below[2 * i + 1]!])))
    all.push(level)
  }
  return all
}

function tree(depth: number, leaves: Leaf[]) {
  const all = levels(depth, leaves)
  const proofs = leaves.map((_, index) => all.slice(0, -1).map((level, l) => level[(index >> l) ^ 1]))
  return { depth, leaves, leafHashes: leaves.map(hash), root: all.at(-1)![0], proofs }
}

const MAX = (2n ** 128n - 1n).toString()
const some = (count: number): Leaf[] =>
  Array.from({ length: count }, (_, i) => ({
    kind: i % 3 === 2 ? 2 : 1,
    address: address(i),
    amount: (10n ** 18n * BigInt(i) + BigInt(i * i)).toString(),
  }))

const emptyRoots: string[] = [ZeroHash]
while (emptyRoots.length <= 32) emptyRoots.push(keccak256(concat([emptyRoots.at(-1)!, emptyRoots.at(-1)!])))

const vectors = {
  about:
    'packed leaf = kind(1) | address(20) | uint128 big-endian(16); leaf = keccak256(keccak256(packed)); node = keccak256(left | right); empty leaf = 0; proofs list siblings, lowest level first; emptyRoots[d] = root of an empty tree of depth d',
  emptyRoots,
  packed: some(3).map((leaf) => ({ ...leaf, packed: pack(leaf), leafHash: hash(leaf) })),
  trees: [
    tree(0, [{ kind: 1, address: address(7), amount: '1' }]),
    tree(1, some(1)),
    tree(2, some(4)),
    tree(3, some(5)),
    tree(4, [
      { kind: 1, address: `0x${'0'.repeat(39)}1`, amount: '0' },
      { kind: 2, address: `0x${'0'.repeat(39)}1`, amount: MAX },
      { kind: 1, address: `0x${'f'.repeat(40)}`, amount: MAX },
      { kind: 1, address: address(9), amount: '1' },
    ]),
    tree(5, some(21)),
  ],
}

writeFileSync(new URL('../../test/vectors/merkle.json', import.meta.url), `${JSON.stringify(vectors, null, 1)}\n`)
