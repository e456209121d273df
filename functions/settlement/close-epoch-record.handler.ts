import * as z from 'zod'
import { Epochs } from '#ledger/epochs.store'
import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { OpenLedgerError } from '#schema/errors'
import { EpochLog } from './epoch/epoch-log.store.ts'

const env = environment('LEDGER_TABLE', 'RECEIPTS_BUCKET')
const epochs = new Epochs(env.LEDGER_TABLE)
const log = new EpochLog(new Objects(env.RECEIPTS_BUCKET))

/** Last step: the closed epoch becomes the ledger's record, from which the settler takes it. Repeating it changes nothing. */
export const handler = async (input: unknown): Promise<{ epoch: number; state: string }> => {
  const { epoch } = z.looseObject({ epoch: z.number().int().min(1) }).parse(input)
  const file = await log.closed(epoch)
  if (!file) throw new OpenLedgerError('wrong-state', `Epoch ${epoch} is not calculated.`)
  const { number, prevRoot, root, receiptsRoot, dataHash, total, debits, receipts, payees, closedAt } = file
  const known = await epochs.find(epoch)
  if (known?.root === root) return { epoch, state: known.state }
  await epochs.close({
    number,
    state: 'closed',
    prevRoot,
    root,
    receiptsRoot,
    dataHash,
    total,
    debits,
    receipts,
    payees,
    closedAt,
  })
  return { epoch, state: 'closed' }
}
