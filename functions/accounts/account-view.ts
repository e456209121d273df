import type { Account } from '#schema/accounts'

export const accountView = (account: Account, balance: { available: bigint; held: bigint; spent: bigint }) => ({
  ...account,
  balance: balance.available.toString(),
  held: balance.held.toString(),
  spent: balance.spent.toString(),
})
