/** Nodes of an epoch's tree out of its level files. */
import { keccak256 } from 'ethers'
import type { ProofSource } from './calls.ts'
import type { EpochFiles } from './ports.ts'

const HASH = 32

/** Loads the tree of an epoch; nodes beyond the populated prefix of a level are roots of empty subtrees. */
export const loadTree = async (files: EpochFiles, epoch: number): Promise<ProofSource> => {
  const depth = await files.depth(epoch)
  const [packed, ...levels] = await Promise.all([
    files.balances(epoch),
    ...Array.from({ length: depth }, (_, level) => files.level(epoch, level)),
  ])
  const empty = emptyRoots(depth)
  const node = (level: number, index: number): Uint8Array => {
    const nodes = levels[level]
    if (!nodes) throw new RangeError(`no level ${level} in a tree of depth ${depth}`)
    const at = index * HASH
    return at < nodes.length ? nodes.subarray(at, at + HASH) : empty[level]!
  }
  return { packed: packed!, depth, node }
}

const emptyRoots = (depth: number): Uint8Array[] => {
  const roots = [new Uint8Array(HASH)]
  while (roots.length < depth) {
    const below = roots.at(-1)!
    const pair = new Uint8Array(2 * HASH)
    pair.set(below)
    pair.set(below, HASH)
    roots.push(Buffer.from(keccak256(pair).slice(2), 'hex'))
  }
  return roots
}
