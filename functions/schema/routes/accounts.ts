import * as z from 'zod'
import { Account, AddressProof, ApiKey, SigningDomain } from '../accounts.ts'
import { AccountId, Address, KeyId } from '../ids.ts'
import { Amount } from '../money.ts'
import type { Route } from './route.ts'

const AccountView = Account.extend({
  balance: Amount,
  held: Amount,
  spent: Amount,
  /** What an address proof is signed for; null while the deployment has no chain. */
  signingDomain: SigningDomain.nullable(),
})

export const ACCOUNT_ROUTES = {
  getAccount: {
    method: 'GET',
    path: '/accounts/me',
    door: 'accounts/get-account',
    access: 'any',
    summary: 'Balance, holds and address of the caller',
    reply: AccountView,
  },
  updateAccount: {
    method: 'PUT',
    path: '/accounts/me',
    door: 'accounts/update-account',
    access: 'person',
    summary: 'Set the name, and the payout address with the proof of its wallet',
    body: z.strictObject({
      name: z.string().max(100).optional(),
      address: Address.refine((address) => !/^0x0{40}$/.test(address), 'must not be the zero address').optional(),
      proof: AddressProof.optional(),
    }),
    reply: AccountView,
  },
  linkPayer: {
    method: 'POST',
    path: '/accounts/me/linked-payers',
    door: 'accounts/link-payer',
    access: 'person',
    summary: 'Declare that an account is on the caller’s side: the caller earns nothing by what it pays from now on',
    body: z.strictObject({ accountId: AccountId }),
    reply: z.strictObject({ owner: AccountId, payer: AccountId }),
    status: 201,
  },
  createKey: {
    method: 'POST',
    path: '/accounts/me/keys',
    door: 'accounts/create-key',
    access: 'person',
    summary: 'Make an API key; the secret is shown once',
    body: z.strictObject({
      name: z.string().min(1).max(100),
      budget: Amount.optional(),
      ratePerMinute: z.number().int().min(1).max(100_000).optional(),
    }),
    reply: z.strictObject({ key: ApiKey, secret: z.string() }),
    status: 201,
  },
  listKeys: {
    method: 'GET',
    path: '/accounts/me/keys',
    door: 'accounts/list-keys',
    access: 'person',
    summary: 'API keys of the account',
    reply: z.strictObject({ items: z.array(ApiKey) }),
  },
  revokeKey: {
    method: 'DELETE',
    path: '/accounts/me/keys/{keyId}',
    door: 'accounts/revoke-key',
    access: 'person',
    summary: 'Revoke an API key',
    params: z.strictObject({ keyId: KeyId }),
    reply: ApiKey,
  },
  creditAccount: {
    method: 'POST',
    path: '/accounts/{accountId}/credits',
    door: 'accounts/credit-account',
    access: 'operator',
    summary: 'Credit an account from the operator’s backed balance',
    params: z.strictObject({ accountId: AccountId }),
    body: z.strictObject({ amount: Amount, reference: z.string().min(1).max(100) }),
    reply: z.strictObject({ credited: z.boolean() }),
  },
} as const satisfies Record<string, Route>
