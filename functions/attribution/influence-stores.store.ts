import { keys } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { OpenLedgerError } from '#schema/errors'
import { Adapter, Pool } from '#schema/models'
import type { Transcript } from '#schema/receipt'
import type { InfluenceAnswer } from './evidence.ts'
import { askInfluence } from './influence.client.ts'

/** Which endpoint holds the influence store of an adapter, and what the registry says its digest is. */
export class InfluenceStores {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  /** An adapter without a store is answered by `null` for every transcript: its receipts are provenance only. */
  async score(
    adapterId: string,
    baseId: string,
    transcripts: readonly Transcript[],
  ): Promise<Map<string, InfluenceAnswer>> {
    const adapter = await this.#records.get(Adapter, keys.adapter(adapterId), 'adapter')
    if (!adapter.influenceDigest) return new Map(transcripts.map(({ receiptId }) => [receiptId, null]))
    const pool = await this.#records.find(Pool, keys.pool(baseId))
    if (!pool?.influenceEndpoint)
      throw new OpenLedgerError('waking-up', `There is no influence endpoint for ${baseId} yet.`)
    return askInfluence(pool.influenceEndpoint, adapterId, adapter.influenceDigest, transcripts)
  }
}
