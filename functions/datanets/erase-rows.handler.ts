import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { DatanetVersion, type ShardPlace } from '#schema/datanets'
import { DataObjects } from './data-objects.store.ts'
import { eraseRows } from './erasure/erase-rows.ts'
import { Erasure } from './erasure/erasure.ts'
import { IngestionRecords } from './ingestion-records.store.ts'
import { partKeys, versionKey } from './places.ts'
import { withSpools } from './row-spool.store.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET')
const records = new IngestionRecords(env.REGISTRY_TABLE)
const objects = new DataObjects(env.DATA_BUCKET)
const stored = new Objects(env.DATA_BUCKET)

/**
 * Step of the erasure flow: rewrites a part's rows and signatures without what was withdrawn, and names its shards,
 * which are built anew. A withdrawal that is recorded meanwhile starts an execution of its own, and the later writer must not bring
 * its rows back: so this looks again after every write.
 */
export const handler = async (input: unknown): Promise<{ rowsKey: string; shards: ShardPlace[] }> => {
  const { datanetId, contributionId } = Erasure.parse(input)
  const keys = partKeys(datanetId, contributionId)
  const { version } = (await records.contribution(datanetId, contributionId)) ?? {}
  if (!version) throw new Error(`${contributionId} was never published`)
  const { parts } = DatanetVersion.parse(await stored.json(versionKey(datanetId, version)))
  const { shards } = parts.find(({ contribution }) => contribution === contributionId)!
  const seen = async () => records.withdrawnRows(datanetId, contributionId)
  for (let dead = await seen(); ; ) {
    const rows = await withSpools(async (spool) => {
      const sinks = { rows: spool('rows'), signatures: spool('signatures') }
      const erased = await eraseRows(
        { rows: objects.stream(keys.rows), signatures: objects.stream(keys.signatures) },
        dead,
        sinks,
      )
      await objects.putFile(keys.rows, sinks.rows.path, sinks.rows.bytes, 'application/jsonl')
      await objects.putFile(keys.signatures, sinks.signatures.path, sinks.signatures.bytes, 'application/octet-stream')
      return erased
    })
    logger.info('rows erased', { datanetId, contributionId, rows })
    const now = await seen()
    if (dead === null || now?.size === dead.size) break
    dead = now
  }
  return {
    rowsKey: keys.rows,
    shards: shards.map(({ start, end, indexKey, filterKey, tableKey }) => ({
      start,
      end,
      indexKey,
      filterKey,
      tableKey,
    })),
  }
}
