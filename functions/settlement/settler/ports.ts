import type { Market } from './fees.ts'
import type { Attempt, Fees, Item } from './item.ts'

/** Which block a view is of. `final` is the deployment's finality tag. */
export type View = 'latest' | 'final'

/** What the settlement contract says in one view, all read at the same block. */
export interface SettlementState {
  block: number
  /** Unix seconds of the block. */
  time: number
  epoch: number
  root: string
  pending: { epoch: number; root: string; activatesAt: number } | null
  pausedUntil: number
}

export interface MinedReceipt {
  hash: string
  block: number
  succeeded: boolean
}

/** The chain as the settler needs it. Every method may throw; a throw moves no state. */
export interface Chain {
  settlement(view: View): Promise<SettlementState>
  /** Transactions of the settler in the chain of this view. */
  nonce(view: View): Promise<number>
  finalBlock(): Promise<number>
  market(): Promise<Market>
  receipt(hash: string): Promise<MinedReceipt | null>
  /** Gas of the call now. @throws CallReverts with the contract's error */
  estimate(to: string, data: string): Promise<bigint>
  /** "already known" and "nonce too low" are success: the bytes or a successor are with the chain. So is "underpriced": offered. */
  broadcast(raw: string): Promise<void>
  /** What each account was paid, in the latest block. */
  claimed(accounts: string[]): Promise<bigint[]>
}

/** The call would fail on chain now; `reason` is the contract's error name. */
export class CallReverts extends Error {
  readonly reason: string
  constructor(reason: string) {
    super(`the call reverts: ${reason}`)
    this.reason = reason
  }
}

export interface TransactionSigner {
  readonly address: string
  sign(
    transaction: { to: string; data: string; gasLimit: bigint; nonce: number } & Fees,
  ): Promise<Pick<Attempt, 'raw' | 'hash'>>
}

/** Someone else holds the lease, or took it over: stop, they go on. */
export class LeaseLost extends Error {}

/** Items of the ledger table behind a lease with a fencing token. */
export interface SettlementStore {
  /** Adds an item unless one of its name, root and round exists; returns what is stored. A vetoed one of another is replaced. */
  plan(item: Item): Promise<Item>
  /** Writes the next version if the stored one is the version read and the lease is still ours. @throws LeaseLost */
  save(item: Item): Promise<Item>
  /** Highest nonce given to any item so far, plus one; 0 if none. */
  nextNonce(): Promise<number>
  /** Records the nonce with the item in one write. @throws LeaseLost */
  giveNonce(item: Item, nonce: number): Promise<Item>
}

/** Files of a closed epoch. */
export interface EpochFiles {
  /** Packed leaves by position, 37 bytes each. */
  balances(epoch: number): Promise<Uint8Array>
  /** 32-byte nodes of a level, the populated prefix only. */
  level(epoch: number, level: number): Promise<Uint8Array>
  depth(epoch: number): Promise<number>
  /** Writes the push plan unless there is one; returns the one that stands. */
  fixPushes(epoch: number, batches: number[][]): Promise<number[][]>
  pushes(epoch: number): Promise<number[][] | undefined>
}

/** The closed epochs that the ledger knows. Amounts in units of 1e-18 OPEN. */
export interface EpochToSettle {
  number: number
  prevRoot: string
  root: string
  total: bigint
  debits: bigint
  receiptsRoot: string
  dataHash: string
  /** How often it was reopened after a veto. */
  round: number
}

export interface EpochBook {
  /** Closed and not yet settled, oldest first. */
  open(): Promise<EpochToSettle[]>
  /** @throws when the epoch was reopened since it was read */
  mark(
    epoch: Pick<EpochToSettle, 'number' | 'round'>,
    state: 'proposed' | 'active' | 'settled' | 'vetoed',
  ): Promise<void>
}
