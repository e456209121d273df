import { Epochs } from '#ledger/epochs.store'
import { Receipts } from '#ledger/receipts.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { receiptView } from './receipt-view.ts'

const { LEDGER_TABLE } = environment('LEDGER_TABLE')
const receipts = new Receipts(LEDGER_TABLE)
const epochs = new Epochs(LEDGER_TABLE)

export const handler = apiDoor('listReceipts', async ({ caller, query }) => {
  const [page, open] = await Promise.all([receipts.listOf(caller.accountId, query), epochs.current()])
  return { items: page.items.map((receipt) => receiptView(receipt, open)), cursor: page.cursor }
})
