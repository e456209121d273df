import type * as z from 'zod'
import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import type { ProvenanceShard } from '#schema/datanets'
import { BuildProvenanceShard } from '#schema/events'
import { buildShard } from './build-shard.ts'
import { readInto } from './whole-object.store.ts'

const data = new Objects(environment('DATA_BUCKET').DATA_BUCKET)

/**
 * Step of the ingestion flow, once a shard: index, router filter and row table over a range of a part's rows. The same
 * rows give the same bytes, so a repeated step writes what is there.
 */
export const handler = async (event: unknown): Promise<z.output<typeof ProvenanceShard>> => {
  const { rowsKey, shard: place } = BuildProvenanceShard.parse(event)
  const lines = new Uint8Array(place.end - place.start)
  await readInto(data, rowsKey, lines, place.start)
  const { index, filter, table, rows } = buildShard(lines, place.filterKey)
  const [indexSha256, filterSha256, tableSha256] = await Promise.all([
    data.put(place.indexKey, index),
    data.put(place.filterKey, filter),
    data.put(place.tableKey, table),
  ])
  const bytes = { index: index.byteLength, filter: filter.byteLength, table: table.byteLength }
  logger.info('provenance shard built', { indexKey: place.indexKey, rows, bytes })
  return { ...place, rows, indexSha256: indexSha256!, filterSha256: filterSha256!, tableSha256: tableSha256! }
}
