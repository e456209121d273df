import { Epochs } from '#ledger/epochs.store'
import { Receipts } from '#ledger/receipts.store'
import { Scorings } from '#ledger/scorings.store'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import type { AttributionPorts } from './attribute-receipts.ts'
import { InfluenceStores } from './influence-stores.store.ts'
import { Library, type Loads } from './library.store.ts'
import { TranscriptShelf } from './transcript-shelf.store.ts'
import { Withdrawals } from './withdrawals.store.ts'

/** At this delivery, the queue's last, a shard that cannot be read makes its receipts incomplete instead of failing them again. */
const LAST_DELIVERY = 5

export interface Places {
  ledger: string
  registry: string
  data: string
  models: string
  receipts: string
}

/** Tables and buckets behind the ports of the two workers; made once an environment, so that shards stay warm. */
export const attributionPorts = (
  places: Places,
  { now, giveUpMs }: Pick<AttributionPorts, 'now' | 'giveUpMs'>,
  searched: (what: { outputs: number; missing: string[]; loads: Loads }) => void,
): { portsFor(delivery: number): AttributionPorts; stores: InfluenceStores; scorings: Scorings } => {
  const receipts = new Receipts(places.ledger)
  const epochs = new Epochs(places.ledger)
  const records = new Records(places.registry)
  const library = new Library(new Objects(places.data), new Objects(places.models), new Withdrawals(records))
  const shelf = new Objects(places.receipts)
  const transcripts = new TranscriptShelf(shelf)
  const scorings = new Scorings(places.ledger)
  const stores = new InfluenceStores(records, shelf, scorings)
  return {
    stores,
    scorings,
    portsFor: (delivery) => ({
      billing: async (receiptId) => {
        const { billing, state } = await receipts.get(receiptId)
        return { billing, done: state === 'completed' }
      },
      transcript: (receiptId) => transcripts.find(receiptId),
      search: async (versions, outputs, minLength) => {
        const { loads, ...found } = await library.search(versions, outputs, minLength, delivery >= LAST_DELIVERY)
        searched({ outputs: outputs.length, missing: found.missing, loads })
        return found
      },
      unigram: (baseId) => library.unigram(baseId),
      storeDigest: (adapterId) => stores.digest(adapterId),
      scoring: (receiptId) => scorings.find(receiptId),
      ask: (adapterId, baseId, asked) => stores.ask(adapterId, baseId, asked, now()),
      complete: async (receiptId, attribution) => {
        await receipts.complete(receiptId, attribution, await epochs.current(), now().toISOString())
      },
      now,
      giveUpMs,
    }),
  }
}
