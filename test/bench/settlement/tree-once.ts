/** usage: tree-once.ts LEAVES SEED. Builds our tree over balances of its own and prints what it cost this process. */
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { LEAF_BYTES, readAmount, writeAmount } from '../../../functions/settlement/epoch/leaf.ts'
import { buildTree, proofOf, rootFromProof, updateTree } from '../../../functions/settlement/epoch/merkle-tree.ts'
import { balances, cpu, numbers } from './balances.ts'
import type { TreeCost } from './tree.ts'

const DEPTH = 20
const MORE = 2
const [count, seed] = process.argv.slice(2).map(Number) as [number, number]

const keccak = await loadKeccak()
const packed = balances(count, seed)
const { result: tree, seconds: first } = cpu(() => buildTree(keccak, packed, DEPTH))
const peakMb = process.resourceUsage().maxRSS / 1024
const more = Array.from({ length: MORE }, () => cpu(() => buildTree(keccak, packed, DEPTH)).seconds)

const next = numbers(seed + 1)
const touched = [...new Set(Array.from({ length: 10_000 }, () => next() % count))].sort((a, b) => a - b)
for (const position of touched) {
  const offset = position * LEAF_BYTES
  writeAmount(packed, offset, readAmount(packed, offset) + 1n)
}
const updates = Array.from({ length: 5 }, () => cpu(() => updateTree(keccak, tree, packed, touched)).seconds)
const proofs = cpu(() => {
  for (let i = 0; i < 1_000; i++) {
    const position = next() % count
    const leaf = tree.levels[0]!.subarray(position * 32, position * 32 + 32)
    rootFromProof(keccak, leaf, position, proofOf(keccak, tree, position))
  }
})
const middle = (seconds: number[]) => seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)]!
const cost: TreeCost = {
  leaves: count,
  buildSeconds: middle([first, ...more]),
  update10000Seconds: middle(updates),
  proofMs: proofs.seconds,
  peakMb,
}
process.stdout.write(JSON.stringify(cost))
