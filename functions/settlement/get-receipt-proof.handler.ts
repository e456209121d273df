import { Receipts } from '#ledger/receipts.store'
import { Objects } from '#registry/objects.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { OpenLedgerError } from '#schema/errors'
import { Receipt } from '#schema/receipt'
import { EpochLog } from './epoch/epoch-log.store.ts'
import { loadKeccak } from './epoch/keccak.ts'
import { Proofs } from './epoch/proofs.store.ts'
import { effectOf } from './epoch/receipt-proof.ts'

const env = environment('LEDGER_TABLE', 'RECEIPTS_BUCKET')
const receipts = new Receipts(env.LEDGER_TABLE)
const objects = new Objects(env.RECEIPTS_BUCKET)
const proofs = new Proofs(objects, await loadKeccak())
const log = new EpochLog(objects)
const chainId = process.env['CHAIN_ID']
const settlement = process.env['SETTLEMENT_ADDRESS']

/** A receipt, its path to the receipts root of its epoch, and what it moved there: `npm run epoch -- verify` checks it offline. */
export const handler = apiDoor('getReceiptProof', async ({ caller, params }) => {
  const found = await receipts.get(params.receiptId)
  const readers = [
    found.billing.payer,
    found.billing.owner,
    ...(found.attribution?.shares ?? []).map(({ payee }) => payee),
  ]
  if (!readers.includes(caller.accountId) && !(caller.kind === 'person' && caller.operator))
    throw new OpenLedgerError('not-found', 'There is no such receipt.')
  const proof = found.epoch === null ? undefined : await proofs.receipt(found.epoch, params.receiptId).catch(notClosed)
  if (!proof) throw new OpenLedgerError('wrong-state', 'The epoch of this receipt is not closed yet.')
  const receipt = Receipt.parse({
    billing: found.billing,
    attribution: found.attribution,
    epoch: found.epoch,
    completedAt: found.completedAt,
  })
  const { receiptsRoot, root, dataHash, number } = proof.file
  const signature = await log.signature(number)
  return {
    format: 'openledger-receipt-proof-1',
    epoch: number,
    receiptsRoot,
    root,
    dataHash,
    receipt,
    index: proof.index,
    siblings: proof.siblings,
    effect: effectOf(receipt),
    ...(signature ? { signature } : {}),
    ...(chainId && settlement ? { chain: { chainId: Number(chainId), settlement } } : {}),
  }
})

const notClosed = (error: unknown): undefined => {
  if (error instanceof OpenLedgerError && error.code === 'not-found') return undefined
  throw error
}
