import { Epochs } from '#ledger/epochs.store'
import { Movements } from '#ledger/movements.store'
import { Objects } from '#registry/objects.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { OpenLedgerError } from '#schema/errors'
import { closing } from './epoch/closing-input.ts'
import { EpochLog } from './epoch/epoch-log.store.ts'
import { signBatch } from './receipts-signer.client.ts'

const env = environment('LEDGER_TABLE', 'RECEIPTS_BUCKET', 'RECEIPTS_KEY_ID')
const epochs = new Epochs(env.LEDGER_TABLE)
const movements = new Movements(env.LEDGER_TABLE)
const log = new EpochLog(new Objects(env.RECEIPTS_BUCKET))

/**
 * Last step: the closed epoch becomes the ledger's record, from which the settler takes it, its receipts root is signed, and
 * residuals that go back to clients become spendable again. Repeating it changes nothing. After a veto the record starts anew
 * for the settler; a refund that was given stays given, since the first close gave it for receipts that the ledger charged.
 */
export const handler = async (input: unknown): Promise<{ epoch: number; state: string }> => {
  const { epoch, again } = closing(input)
  const file = await log.closed(epoch)
  if (!file) throw new OpenLedgerError('wrong-state', `Epoch ${epoch} is not calculated.`)
  const { number, prevRoot, root, receiptsRoot, dataHash, total, debits, receipts, payees, closedAt } = file
  const record = {
    ...{ number, prevRoot, root, receiptsRoot, dataHash, total, debits, receipts, payees, closedAt },
    state: 'closed' as const,
  }
  const known = await epochs.find(epoch)
  if (again && known?.state === 'vetoed') await epochs.reopen(record)
  else if (known?.root !== root) await epochs.close(record)
  if (again || !(await log.signature(epoch)))
    await log.saveSignature(
      epoch,
      await signBatch(env.RECEIPTS_KEY_ID, { epoch, receiptsRoot, dataHash }, now().toISOString()),
    )
  await refundClients(epoch)
  return { epoch, state: again ? 'closed' : (known?.state ?? 'closed') }
}

const AT_ONCE = 16

const refundClients = async (epoch: number): Promise<void> => {
  const refunds = (await log.charges(epoch)).filter((charge) => charge.refunds > 0n)
  for (let i = 0; i < refunds.length; i += AT_ONCE)
    await Promise.all(
      refunds
        .slice(i, i + AT_ONCE)
        .map((charge) => movements.refund(charge.client, charge.refunds, `refund:${epoch}:${charge.client}`)),
    )
}
