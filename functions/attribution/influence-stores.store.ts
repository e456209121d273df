import type { Scorings } from '#ledger/scorings.store'
import { keys } from '#registry/keys'
import type { Objects } from '#registry/objects.store'
import type { Records } from '#registry/records.store'
import { OpenLedgerError } from '#schema/errors'
import { Adapter, Pool } from '#schema/models'
import type { Transcript } from '#schema/receipt'
import { scoringPlaces } from '#schema/scoring'
import { ANSWER_DUE_MS, askAsynchronously } from './influence.client.ts'
import { ScoringReply, scoringRequests } from './scoring.ts'

/** Scores of influence stores: asked for by an object in S3 and an asynchronous invocation, read when they have come. */
export class InfluenceStores {
  readonly #records: Records
  readonly #objects: Objects
  readonly #scorings: Scorings
  constructor(records: Records, objects: Objects, scorings: Scorings) {
    this.#records = records
    this.#objects = objects
    this.#scorings = scorings
  }

  /** What the registry says is the digest of the adapter's store; null: it has none, its receipts are provenance only. */
  async digest(adapterId: string): Promise<string | null> {
    return (await this.#records.get(Adapter, keys.adapter(adapterId), 'adapter')).influenceDigest
  }

  /** Throws `waking-up` while the base model has no influence endpoint. */
  async ask(adapterId: string, baseId: string, transcripts: readonly Transcript[], at: Date): Promise<void> {
    const pool = await this.#records.find(Pool, keys.pool(baseId))
    if (!pool?.influenceEndpoint)
      throw new OpenLedgerError('waking-up', `There is no influence endpoint for ${baseId} yet.`)
    const due = new Date(at.getTime() + ANSWER_DUE_MS)
    for (const { id, body, receiptIds } of scoringRequests(adapterId, transcripts)) {
      const key = `${scoringPlaces.asked}${id}.json`
      await this.#objects.put(key, body, { contentType: 'application/json' })
      const failureKey = await askAsynchronously(pool.influenceEndpoint, `s3://${this.#objects.bucket}/${key}`, id)
      await this.#scorings.asked(failureKey, receiptIds, at, due)
    }
  }

  async reply(key: string): Promise<ScoringReply> {
    return ScoringReply.parse(await this.#objects.json(key))
  }

  /** What SageMaker wrote about a request that failed. */
  async failure(key: string): Promise<string> {
    return this.#objects.text(key)
  }
}
