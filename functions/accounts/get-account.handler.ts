import { Balances } from '#ledger/balances.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { accountView } from './account-view.ts'
import { AccountBook } from './accounts.store.ts'
import { signingDomain } from './address-proof.ts'

const env = environment('REGISTRY_TABLE', 'LEDGER_TABLE')
const accounts = new AccountBook(new Records(env.REGISTRY_TABLE))
const domain = signingDomain(process.env['CHAIN_ID'], process.env['SETTLEMENT_ADDRESS'])
const balances = new Balances(env.LEDGER_TABLE)

export const handler = apiDoor('getAccount', async ({ caller }) => {
  const [account, balance] = await Promise.all([
    accounts.ensure(caller.accountId, '', now().toISOString()),
    balances.balance(caller.accountId),
  ])
  return accountView(account, balance, domain)
})
