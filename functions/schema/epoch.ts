import * as z from 'zod'
import { AccountId, AdapterId, Address, Bytes32 } from './ids.ts'
import { Amount } from './money.ts'

/** What one payee earned through one adapter in one epoch, and as what. */
export const Line = z.strictObject({
  payee: AccountId,
  as: z.enum(['contributor', 'owner', 'stakers', 'platform', 'treasury']),
  adapterId: AdapterId,
  amount: Amount,
})
export type Line = z.output<typeof Line>

/** One closed epoch, input of the settler. `total` is cumulative over all epochs, `debits` what clients were charged in this one. */
export const EpochRecord = z.strictObject({
  number: z.number().int().min(1),
  state: z.enum(['open', 'closing', 'closed', 'proposed', 'active', 'settled', 'vetoed']),
  prevRoot: Bytes32,
  root: Bytes32,
  receiptsRoot: Bytes32,
  dataHash: Bytes32,
  /** Sum of the cumulative earned leaves, including this epoch. */
  total: Amount,
  /** What this epoch adds to `total`: equal to the debits of the clients, net of refunds. */
  debits: Amount,
  receipts: z.number().int().min(0),
  payees: z.number().int().min(0),
  closedAt: z.iso.datetime(),
})
export type EpochRecord = z.output<typeof EpochRecord>

/** A leaf of the settlement tree with its position. kind 1: cumulative earned of a payee; kind 2: cumulative spent of a client. */
export const LeafRecord = z.strictObject({
  index: z.number().int().min(0),
  kind: z.union([z.literal(1), z.literal(2)]),
  address: Address,
  amount: Amount,
})
export type LeafRecord = z.output<typeof LeafRecord>

/** Address book snapshot at the close: who is paid where. */
export const PayeeAddress = z.strictObject({ accountId: AccountId, address: Address.optional() })
