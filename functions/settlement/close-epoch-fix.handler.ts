import { Epochs } from '#ledger/epochs.store'
import { Receipts } from '#ledger/receipts.store'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { closing } from './epoch/closing-input.ts'
import { EpochLog } from './epoch/epoch-log.store.ts'
import { fixInputs, type House } from './epoch/fix-inputs.ts'
import { Parties } from './epoch/parties.store.ts'

const env = environment(
  'LEDGER_TABLE',
  'REGISTRY_TABLE',
  'RECEIPTS_BUCKET',
  'PLATFORM_PAYEE',
  'TREASURY_PAYEE',
  'OPERATOR_PAYEE',
)
const epochs = new Epochs(env.LEDGER_TABLE)
const receipts = new Receipts(env.LEDGER_TABLE)
const log = new EpochLog(new Objects(env.RECEIPTS_BUCKET))
const parties = new Parties(new Records(env.REGISTRY_TABLE))

// Addresses are optional knobs: what has none accrues unassigned.
const house: House = {
  platform: { account: env.PLATFORM_PAYEE, address: process.env['PLATFORM_ADDRESS'] || undefined },
  treasury: env.TREASURY_PAYEE,
  operator: { account: env.OPERATOR_PAYEE, address: process.env['OPERATOR_ADDRESS'] || undefined },
  treeDepth: 20,
}

/** Second step: fixes the list of log objects and everything else that decides the epoch. Throws LogBehind: retry later. */
export const handler = async (input: unknown): Promise<{ objects: number; receipts: number }> => {
  const { epoch, again } = closing(input)
  return fixInputs(
    {
      list: (n) => log.list(n),
      read: (keys) => log.inOrder(keys),
      fixed: (n) => log.fixed(n),
      quarantined: (n) => log.quarantined(n),
      counted: (n) => epochs.counted(n),
      feeOf: async (receiptId) => {
        const found = await receipts.find(receiptId)
        return found && { fee: BigInt(found.billing.fee), epoch: found.epoch }
      },
      previous: (n) => log.closed(n),
      accounts: (ids) => parties.accounts(ids),
      terms: (adapterId) => parties.terms(adapterId),
      fix: (n, objects, inputs, first) => log.fix(n, objects, inputs, { first, again }),
      now,
    },
    epoch,
    house,
  )
}
