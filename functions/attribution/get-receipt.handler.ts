import { Epochs } from '#ledger/epochs.store'
import { Receipts } from '#ledger/receipts.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { receiptView, requireReader } from './receipt-view.ts'

const { LEDGER_TABLE } = environment('LEDGER_TABLE')
const receipts = new Receipts(LEDGER_TABLE)
const epochs = new Epochs(LEDGER_TABLE)

export const handler = apiDoor('getReceipt', async ({ caller, params }) => {
  const receipt = await receipts.get(params.receiptId)
  requireReader(caller, receipt)
  return receiptView(receipt, await epochs.current())
})
