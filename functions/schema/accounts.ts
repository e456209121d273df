import * as z from 'zod'
import { AccountId, Address, KeyId } from './ids.ts'
import { Amount } from './money.ts'

export const Account = z.strictObject({
  id: AccountId,
  name: z.string().max(100).default(''),
  /** Where the ledger pays; without one, earnings accrue unassigned until it is set. */
  address: Address.optional(),
  createdAt: z.iso.datetime(),
})
export type Account = z.output<typeof Account>

/** Who calls: a person with a JWT, or a machine with an API key of an account. */
export const Caller = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('person'), accountId: AccountId, operator: z.boolean(), name: z.string() }),
  z.strictObject({
    kind: z.literal('client'),
    accountId: AccountId,
    keyId: KeyId,
    budget: Amount.optional(),
    ratePerMinute: z.number().int().optional(),
  }),
])
export type Caller = z.output<typeof Caller>

export const ApiKey = z.strictObject({
  id: KeyId,
  accountId: AccountId,
  name: z.string().max(100),
  budget: Amount.optional(),
  ratePerMinute: z.number().int().min(1).optional(),
  revoked: z.boolean(),
  createdAt: z.iso.datetime(),
})
export type ApiKey = z.output<typeof ApiKey>
