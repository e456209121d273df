import { Epochs } from '#ledger/epochs.store'
import { accountAt } from '#registry/backing.store'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { loadKeccak } from './epoch/keccak.ts'
import { Proofs } from './epoch/proofs.store.ts'

const env = environment('LEDGER_TABLE', 'REGISTRY_TABLE', 'RECEIPTS_BUCKET')
const epochs = new Epochs(env.LEDGER_TABLE)
const records = new Records(env.REGISTRY_TABLE)
const proofs = new Proofs(new Objects(env.RECEIPTS_BUCKET), await loadKeccak())

/** What an address has earned over all closed epochs, and what it can claim against the root that is active on chain. */
export const handler = apiDoor('getPayee', async ({ params: { address } }) => {
  const { items } = await epochs.list(20)
  const active = items.find(({ state }) => state === 'active' || state === 'settled')
  const newest = items[0]
  const [holder, accrued, claimable] = await Promise.all([
    accountAt(records, address),
    newest && proofs.payee(newest.number, address),
    active && proofs.payee(active.number, address),
  ])
  return {
    address,
    accountIds: holder ? [holder] : [],
    accrued: String(accrued?.amount ?? 0n),
    claimable: String(claimable?.amount ?? 0n),
    proof: claimable ? { ...claimable, amount: String(claimable.amount) } : null,
  }
})
