import { Balances } from '#ledger/balances.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { accountView } from './account-view.ts'
import { AccountBook } from './accounts.store.ts'
import { checkAddressProof, signingDomain } from './address-proof.ts'
import { contractWallets } from './contract-wallet.client.ts'

const env = environment('REGISTRY_TABLE', 'LEDGER_TABLE')
const accounts = new AccountBook(new Records(env.REGISTRY_TABLE))
const balances = new Balances(env.LEDGER_TABLE)
// The chain is optional: without one there is nothing to be paid on.
const { CHAIN_RPC_URL: rpcUrl = '', CHAIN_ID: chainId, SETTLEMENT_ADDRESS: settlement } = process.env
const domain = signingDomain(chainId, settlement)
const contractWallet = contractWallets(rpcUrl, Number(chainId ?? 0))

/** Nothing is written before the wallet has proved that it is the caller's. */
export const handler = apiDoor('updateAccount', async ({ caller, body: { name, address, proof } }) => {
  const id = caller.accountId
  let account = await accounts.ensure(id, name ?? '', now().toISOString())
  if (address && address !== account.address) {
    const seconds = Math.floor(now().getTime() / 1000)
    await checkAddressProof({ account: id, wallet: address, proof, domain, now: seconds }, contractWallet)
    account = await accounts.payTo(id, address)
  }
  if (name !== undefined && name !== account.name) account = await accounts.rename(id, name)
  return accountView(account, await balances.balance(id), domain)
})
