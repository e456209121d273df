import { Epochs } from '#ledger/epochs.store'
import { Receipts } from '#ledger/receipts.store'
import { Scorings } from '#ledger/scorings.store'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import type { EnvName } from '#schema/env'
import type { AttributionPorts } from './attribute-receipts.ts'
import { InfluenceStores } from './influence-stores.store.ts'
import { Library } from './library.store.ts'
import { loadMetrics } from './load-metrics.ts'
import { searchShards } from './search-shards.ts'
import { TranscriptShelf } from './transcript-shelf.store.ts'
import { Withdrawals } from './withdrawals.store.ts'

/** At this delivery, the queue's last, a shard that cannot be read makes its receipts incomplete instead of failing them again. */
const LAST_DELIVERY = 5

/** What both workers read of their environment. */
export const ATTRIBUTION_ENV = [
  'LEDGER_TABLE',
  'REGISTRY_TABLE',
  'DATA_BUCKET',
  'MODELS_BUCKET',
  'RECEIPTS_BUCKET',
  'SCORING_GIVE_UP_HOURS',
] as const satisfies readonly EnvName[]

/** Tables and buckets behind the ports of the two workers; made once an environment, so that shards stay warm. */
export const attributionPorts = (
  env: Record<(typeof ATTRIBUTION_ENV)[number], string>,
  now: AttributionPorts['now'],
  log: { info(message: string, what: Record<string, unknown>): void },
): { portsFor(delivery: number): AttributionPorts; stores: InfluenceStores; scorings: Scorings } => {
  const receipts = new Receipts(env.LEDGER_TABLE)
  const epochs = new Epochs(env.LEDGER_TABLE)
  const records = new Records(env.REGISTRY_TABLE)
  const library = new Library(new Objects(env.DATA_BUCKET), new Objects(env.MODELS_BUCKET))
  const withdrawals = new Withdrawals(records)
  const shelf = new Objects(env.RECEIPTS_BUCKET)
  const transcripts = new TranscriptShelf(shelf)
  const scorings = new Scorings(env.LEDGER_TABLE)
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
        const lastTry = delivery >= LAST_DELIVERY
        const { loads, ...found } = await searchShards(library, withdrawals, versions, outputs, minLength, lastTry)
        log.info('provenance searched', {
          outputs: outputs.length,
          missing: found.missing,
          ...loadMetrics(loads, now()),
        })
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
      giveUpMs: Number(env.SCORING_GIVE_UP_HOURS) * 3_600_000,
    }),
  }
}
