/** Trees of many leaves: ours by typed arrays, OpenZeppelin's by its library, on the same balances. */
import { StandardMerkleTree } from '@openzeppelin/merkle-tree'
import { accountAt, amountAt } from '../../../functions/settlement/settler/calls.ts'
import { balances, cpu } from './balances.ts'
import { inItsOwnProcess } from './own-process.ts'

/** Seconds of processor time; memory is that of a process that does nothing else, from balances to root. */
export interface TreeCost {
  leaves: number
  buildSeconds: number
  update10000Seconds: number
  /** One proof made and checked. */
  proofMs: number
  peakMb: number
}

export const benchOurs = (count: number, seed: number): TreeCost =>
  inItsOwnProcess<TreeCost>('tree-once.ts', String(count), String(seed))

export const benchOpenZeppelin = (count: number, seed: number) => {
  const packed = balances(count, seed)
  const values = Array.from({ length: count }, (_, i) => [accountAt(packed, i), String(amountAt(packed, i))])
  const { seconds } = cpu(() => StandardMerkleTree.of(values, ['address', 'uint256']))
  return { leaves: count, buildSeconds: seconds }
}
