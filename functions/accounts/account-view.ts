import type { Account, SigningDomain } from '#schema/accounts'

export const accountView = (
  account: Account,
  balance: { available: bigint; held: bigint; spent: bigint },
  signingDomain: SigningDomain | null,
) => ({
  ...account,
  balance: balance.available.toString(),
  held: balance.held.toString(),
  spent: balance.spent.toString(),
  signingDomain,
})
