import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { Row } from '#schema/datanets'
import { BuildProvenanceShard } from '#schema/events'
import { buildIndex } from './provenance/index.ts'

const data = new Objects(environment('DATA_BUCKET').DATA_BUCKET)

/** Step of the ingestion flow: the provenance shard over the accepted rows of one contribution. The same rows give the same bytes. */
export const handler = async (
  event: unknown,
): Promise<{ indexKey: string; indexSha256: string; rows: number; indexBytes: number }> => {
  const { rowsKey, indexKey } = BuildProvenanceShard.parse(event)
  const rows = (await data.text(rowsKey))
    .split('\n')
    .filter(Boolean)
    .map((line) => Row.parse(JSON.parse(line)))
  const index = buildIndex(rows.map(({ id, text }) => ({ id, text })))
  return { indexKey, indexSha256: await data.put(indexKey, index), rows: rows.length, indexBytes: index.byteLength }
}
