import { Epochs } from '#ledger/epochs.store'
import { Receipts } from '#ledger/receipts.store'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { queueWorker } from '#runtime/queue-worker.client'
import { AttributionRequested } from '#schema/events'
import { attributeReceipts } from './attribute-receipts.ts'
import { InfluenceStores } from './influence-stores.store.ts'
import { Library } from './library.store.ts'
import { loadMetrics } from './load-metrics.ts'
import { TranscriptShelf } from './transcript-shelf.store.ts'
import { Withdrawals } from './withdrawals.store.ts'

const env = environment('LEDGER_TABLE', 'REGISTRY_TABLE', 'DATA_BUCKET', 'MODELS_BUCKET', 'RECEIPTS_BUCKET')
const receipts = new Receipts(env.LEDGER_TABLE)
const epochs = new Epochs(env.LEDGER_TABLE)
const records = new Records(env.REGISTRY_TABLE)
const library = new Library(new Objects(env.DATA_BUCKET), new Objects(env.MODELS_BUCKET), new Withdrawals(records))
const transcripts = new TranscriptShelf(new Objects(env.RECEIPTS_BUCKET))
const stores = new InfluenceStores(records)

/** At this delivery, the queue's last, a shard that cannot be read makes its receipts incomplete instead of failing them again. */
const LAST_DELIVERY = 5

/** Worker of the attribution queue: what fails goes back to the queue, and to its dead letters after five times. */
export const handler = queueWorker(async (event) => {
  const messages = new Map(
    event.Records.map((record) => [AttributionRequested.parse(JSON.parse(record.body)).receiptId, record.messageId]),
  )
  const lastTry = event.Records.some(({ attributes }) => Number(attributes.ApproximateReceiveCount) >= LAST_DELIVERY)
  const failed = await attributeReceipts(
    {
      billing: async (receiptId) => {
        const { billing, state } = await receipts.get(receiptId)
        return { billing, done: state === 'completed' }
      },
      transcript: (receiptId) => transcripts.find(receiptId),
      search: async (versions, outputs, minLength) => {
        const { loads, ...found } = await library.search(versions, outputs, minLength, lastTry)
        logger.info('provenance searched', {
          outputs: outputs.length,
          missing: found.missing,
          ...loadMetrics(loads, now()),
        })
        return found
      },
      unigram: (baseId) => library.unigram(baseId),
      influence: (adapterId, baseId, asked) => stores.score(adapterId, baseId, asked),
      complete: async (receiptId, attribution) => {
        await receipts.complete(receiptId, attribution, await epochs.current(), now().toISOString())
      },
    },
    [...messages.keys()],
    (receiptIds, error) =>
      logger.error('attribution failed, the receipts stay pending', { receiptIds, error: error as Error }),
  )
  return failed.map((receiptId) => messages.get(receiptId)!)
})
