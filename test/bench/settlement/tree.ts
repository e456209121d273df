/** Trees of many leaves: ours by typed arrays, OpenZeppelin's by its library, on the same balances. */
import { StandardMerkleTree } from '@openzeppelin/merkle-tree'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { LEAF_BYTES, packLeaf, writeAmount } from '../../../functions/settlement/epoch/leaf.ts'
import { buildTree, proofOf, rootFromProof, updateTree } from '../../../functions/settlement/epoch/merkle-tree.ts'
import { accountAt, amountAt } from '../../../functions/settlement/settler/calls.ts'

const DEPTH = 20

/** xorshift32: cheap and the same everywhere. */
const numbers = (seed: number) => () => {
  seed ^= seed << 13
  seed ^= seed >>> 17
  seed ^= seed << 5
  return seed >>> 0
}

const balances = (count: number, seed: number): Uint8Array => {
  const next = numbers(seed || 1)
  const packed = new Uint8Array(count * LEAF_BYTES)
  const words = () => Array.from({ length: 5 }, () => next().toString(16).padStart(8, '0')).join('')
  for (let i = 0; i < count; i++)
    packLeaf({ kind: 1, address: `0x${words()}`, amount: 1n + BigInt(next()) * 10n ** 12n }, packed, i * LEAF_BYTES)
  return packed
}

const seconds = <Result>(work: () => Result): [Result, number] => {
  const start = performance.now()
  const result = work()
  return [result, (performance.now() - start) / 1000]
}

/** Seconds, and megabytes of resident memory at the peak of the process after building. */
export const benchOurs = async (count: number, seed: number) => {
  const keccak = await loadKeccak()
  const packed = balances(count, seed)
  buildTree(keccak, packed.subarray(0, 10_000 * LEAF_BYTES), DEPTH)
  const [tree, build] = seconds(() => buildTree(keccak, packed, DEPTH))
  const peakMb = process.resourceUsage().maxRSS / 1024
  const next = numbers(seed + 1)
  const touched = [...new Set(Array.from({ length: 10_000 }, () => next() % count))].sort((a, b) => a - b)
  for (const position of touched) writeAmount(packed, position * LEAF_BYTES, amountAt(packed, position) + 1n)
  const runs = Array.from({ length: 5 }, () => seconds(() => updateTree(keccak, tree, packed, touched))[1])
  const [, proofs] = seconds(() => {
    for (let i = 0; i < 1_000; i++) {
      const position = next() % count
      const leaf = tree.levels[0]!.subarray(position * 32, position * 32 + 32)
      rootFromProof(keccak, leaf, position, proofOf(keccak, tree, position))
    }
  })
  const update = runs.sort((a, b) => a - b)[2]!
  return { leaves: count, build, update10000: update, proofMs: proofs, peakMb }
}

export const benchOpenZeppelin = (count: number, seed: number) => {
  const packed = balances(count, seed)
  const values = Array.from({ length: count }, (_, i) => [accountAt(packed, i), String(amountAt(packed, i))])
  const [, build] = seconds(() => StandardMerkleTree.of(values, ['address', 'uint256']))
  return { leaves: count, build }
}
