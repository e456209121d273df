import { Balances } from '#ledger/balances.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { accountView } from './account-view.ts'
import { AccountBook } from './accounts.store.ts'

const env = environment('REGISTRY_TABLE', 'LEDGER_TABLE')
const accounts = new AccountBook(new Records(env.REGISTRY_TABLE))
const balances = new Balances(env.LEDGER_TABLE)

export const handler = apiDoor('updateAccount', async ({ caller, body }) => {
  const account = await accounts.update(caller.accountId, body)
  return accountView(account, await balances.balance(caller.accountId))
})
