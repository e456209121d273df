import * as z from 'zod'
import { AccountId, Address, KeyId } from './ids.ts'
import { Amount } from './money.ts'

export const Account = z.strictObject({
  id: AccountId,
  name: z.string().max(100).default(''),
  /** Where the ledger pays; without one, earnings accrue unassigned until it is set. Proved by its wallet. */
  address: Address.optional(),
  /** Who stands behind the balance on chain, fixed with its first credit: the escrow client that deposited, or the operator. */
  backedBy: z.union([z.literal('operator'), Address]).optional(),
  createdAt: z.iso.datetime(),
})
export type Account = z.output<typeof Account>

/** The wallet's word that it is this account's (EIP-712, see `functions/accounts/address-proof.ts`): 65 bytes, or any for ERC-1271. */
export const AddressProof = z.strictObject({
  /** Unix seconds; at most an hour ahead, so that a signature that leaks later opens nothing. */
  validUntil: z.number().int().min(1),
  signature: z.string().regex(/^0x([0-9a-fA-F]{2}){1,4096}$/, 'must be 0x and the bytes of a signature in hex'),
})
export type AddressProof = z.output<typeof AddressProof>

/** Domain (EIP-712) of what wallets sign for this deployment. */
export const SigningDomain = z.strictObject({
  name: z.string(),
  version: z.string(),
  chainId: z.number().int(),
  verifyingContract: Address,
})
export type SigningDomain = z.output<typeof SigningDomain>

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
