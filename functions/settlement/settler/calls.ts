/** Calldata of the three kinds of transaction. Pure. */
import { Interface } from 'ethers'
import settlementAbi from '../../../contracts/abi/Settlement.json' with { type: 'json' }
import { multiproof } from './multiproof.ts'
import type { EpochToSettle } from './ports.ts'

export const settlementInterface = new Interface(settlementAbi)

export const proposeCall = (epoch: Omit<EpochToSettle, 'round'>): string =>
  settlementInterface.encodeFunctionData('propose', [
    epoch.number,
    epoch.prevRoot,
    epoch.root,
    epoch.total,
    epoch.receiptsRoot,
    epoch.dataHash,
    epoch.debits,
  ])

export const activateCall = (epoch: number, root: string): string =>
  settlementInterface.encodeFunctionData('activate', [epoch, root])

/** Tree of an epoch as the proofs need it. */
export interface ProofSource {
  packed: Uint8Array
  depth: number
  node(level: number, index: number): Uint8Array
}

/** Pays the payees at `positions`: one by a claim, several by a push. */
export const payCall = (positions: readonly number[], tree: ProofSource): string => {
  if (positions.length === 1) return claimCall(positions[0]!, tree)
  const batch = multiproof(positions, tree.packed, tree.depth, tree.node)
  return settlementInterface.encodeFunctionData('push', [batch.plan, batch.hashes, batch.leaves])
}

const claimCall = (position: number, tree: ProofSource): string => {
  const proof = Array.from({ length: tree.depth }, (_, level) =>
    tree.node(level, Math.floor(position / 2 ** level) ^ 1),
  )
  return settlementInterface.encodeFunctionData('claim', [
    accountAt(tree.packed, position),
    amountAt(tree.packed, position),
    position,
    proof,
  ])
}

export const accountAt = (packed: Uint8Array, position: number): string =>
  `0x${Buffer.from(packed.subarray(position * 37 + 1, position * 37 + 21)).toString('hex')}`

export const amountAt = (packed: Uint8Array, position: number): bigint =>
  BigInt(`0x${Buffer.from(packed.subarray(position * 37 + 21, position * 37 + 37)).toString('hex')}`)
