import { Epochs } from '#ledger/epochs.store'
import { Receipts } from '#ledger/receipts.store'
import { Scorings } from '#ledger/scorings.store'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { audiencesOf } from './audiences.store.ts'
import { receiptView, requireReader } from './receipt-view.ts'
import { spanTexts } from './span-texts.ts'
import { TranscriptShelf } from './transcript-shelf.store.ts'

const env = environment('LEDGER_TABLE', 'REGISTRY_TABLE', 'RECEIPTS_BUCKET')
const receipts = new Receipts(env.LEDGER_TABLE)
const epochs = new Epochs(env.LEDGER_TABLE)
const scorings = new Scorings(env.LEDGER_TABLE)
const records = new Records(env.REGISTRY_TABLE)
const transcripts = new TranscriptShelf(new Objects(env.RECEIPTS_BUCKET))

export const handler = apiDoor('getReceipt', async ({ caller, params }) => {
  const receipt = await receipts.get(params.receiptId)
  requireReader(caller, receipt)
  const view = receiptView(receipt, await epochs.current())
  const scoring = receipt.state === 'pending' ? await scorings.find(params.receiptId) : undefined
  if (scoring) return { ...view, scoring }
  const spans = receipt.attribution?.spans ?? []
  const transcript = spans.length > 0 ? await transcripts.find(params.receiptId) : undefined
  if (!transcript) return view
  const datanets = spans.flatMap(({ owners }) => owners.map(({ datanetId }) => datanetId))
  const audiences = await audiencesOf(records, datanets, caller.accountId)
  return { ...view, spanTexts: spanTexts(caller, receipt.billing, spans, transcript, audiences) }
})
