/** What the chain says about an item's purpose, whoever achieved it. Pure. */
import type { Item } from './item.ts'
import type { SettlementState } from './ports.ts'

export type Goal =
  /** Achieved, or of no use any more. */
  | { is: 'done'; note: string }
  /** Not yet, and its transaction would succeed now. */
  | { is: 'due' }
  /** Its turn has not come; `at` = unix seconds, if the chain says when. */
  | { is: 'waiting'; at?: number; why: string }
  /** The chain holds something that excludes it: an operator must look. */
  | { is: 'refused'; why: string }

export const goalOf = (item: Item, chain: SettlementState): Goal => {
  if (chain.pausedUntil > chain.time && chain.epoch < item.epoch)
    return { is: 'waiting', at: chain.pausedUntil, why: 'the contract is paused' }
  if (item.kind === 'propose') return goalOfPropose(item, chain)
  if (item.kind === 'activate') return goalOfActivate(item, chain)
  return goalOfPush(item, chain)
}

const goalOfPropose = (item: Item, chain: SettlementState): Goal => {
  if (chain.epoch > item.epoch) return { is: 'done', note: 'a later epoch is active' }
  if (chain.epoch === item.epoch) return sameRoot(item, chain.root, 'active')
  if (chain.epoch < item.epoch - 1) return { is: 'waiting', why: `epoch ${item.epoch - 1} is not active` }
  return chain.pending ? sameRoot(item, chain.pending.root, 'pending') : { is: 'due' }
}

const goalOfActivate = (item: Item, chain: SettlementState): Goal => {
  if (chain.epoch > item.epoch) return { is: 'done', note: 'a later epoch is active' }
  if (chain.epoch === item.epoch) return sameRoot(item, chain.root, 'active')
  if (chain.pending?.epoch !== item.epoch) return { is: 'waiting', why: 'the root is not proposed' }
  if (chain.pending.root !== item.root) return { is: 'refused', why: `another root is pending: ${chain.pending.root}` }
  if (chain.time < chain.pending.activatesAt)
    return { is: 'waiting', at: chain.pending.activatesAt, why: 'the window is open' }
  return { is: 'due' }
}

const goalOfPush = (item: Item, chain: SettlementState): Goal => {
  if (chain.epoch > item.epoch) return { is: 'done', note: 'a later root pays what is left' }
  if (chain.epoch < item.epoch) return { is: 'waiting', why: 'the root is not active' }
  if (chain.pausedUntil > chain.time) return { is: 'waiting', at: chain.pausedUntil, why: 'the contract is paused' }
  return chain.root === item.root ? { is: 'due' } : { is: 'refused', why: `another root is active: ${chain.root}` }
}

const sameRoot = (item: Item, root: string, where: string): Goal =>
  root === item.root
    ? { is: 'done', note: `its root is ${where}` }
    : { is: 'refused', why: `another root is ${where}: ${root}` }
