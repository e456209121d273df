import * as z from 'zod'
import { Bytes32 } from './ids.ts'
import { Amount } from './money.ts'

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
  /** How often an operator closed it again after a veto; left out, never. */
  reopened: z.number().int().min(1).optional(),
})
export type EpochRecord = z.output<typeof EpochRecord>
