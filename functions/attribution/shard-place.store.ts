import type * as z from 'zod'
import type { Objects } from '#registry/objects.store'
import type { ProvenanceShard, ShardPlace } from '#schema/datanets'
import { buildShard } from './build-shard.ts'
import { find, readInto } from './whole-object.store.ts'

/**
 * Builds the shard of a range of a part's rows and writes its three objects. Throws when the rows were replaced meanwhile:
 * what was built may hold rows that an erasure took out, and may have been written over what that erasure built.
 */
export const storeShard = async (
  data: Objects,
  rowsKey: string,
  place: z.output<typeof ShardPlace>,
): Promise<{ place: z.output<typeof ProvenanceShard>; bytes: Record<'index' | 'filter' | 'table', number> }> => {
  const found = await find(data, rowsKey)
  const lines = new Uint8Array(place.end - place.start)
  await readInto(data, rowsKey, found, lines, place.start)
  const { index, filter, table, rows } = buildShard(lines, place.filterKey)
  const [indexSha256, filterSha256, tableSha256] = await Promise.all([
    data.put(place.indexKey, index),
    data.put(place.filterKey, filter),
    data.put(place.tableKey, table),
  ])
  if ((await find(data, rowsKey)).etag !== found.etag) throw new Error(`${rowsKey} was replaced while it was indexed`)
  return {
    place: { ...place, rows, indexSha256, filterSha256, tableSha256 },
    bytes: { index: index.byteLength, filter: filter.byteLength, table: table.byteLength },
  }
}
