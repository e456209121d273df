import type * as z from 'zod'
import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import type { ProvenanceShard } from '#schema/datanets'
import { BuildProvenanceShard } from '#schema/events'
import { storeShard } from './shard-place.store.ts'

const data = new Objects(environment('DATA_BUCKET').DATA_BUCKET)

/**
 * Step of the ingestion and the erasure flow, once a shard: index, router filter and row table over a range of a part's
 * rows. The same rows give the same bytes, so a repeated step writes what is there.
 */
export const handler = async (event: unknown): Promise<z.output<typeof ProvenanceShard>> => {
  const { rowsKey, shard } = BuildProvenanceShard.parse(event)
  const { place, bytes } = await storeShard(data, rowsKey, shard)
  logger.info('provenance shard built', { indexKey: place.indexKey, rows: place.rows, bytes })
  return place
}
