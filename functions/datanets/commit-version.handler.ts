import * as z from 'zod'
import { Objects } from '#registry/objects.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { DatanetVersion, ProvenanceShard } from '#schema/datanets'
import { type Committed, Prepared, Upload } from './ingestion/flow.ts'
import { publishVersion } from './ingestion/publish-version.ts'
import { IngestionRecords } from './ingestion-records.store.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET')
const records = new IngestionRecords(env.REGISTRY_TABLE)
const objects = new Objects(env.DATA_BUCKET)

const Input = z.object({
  upload: Upload,
  prepared: Prepared,
  shards: z.array(ProvenanceShard).min(1),
})

/** The commit point: rows, rejections, signatures and index are written; now the version becomes visible. */
export const handler = async (input: unknown): Promise<Committed> => {
  const { upload, prepared, shards } = Input.parse(input)
  const committed = await publishVersion(upload, prepared, shards, {
    records,
    version: async (key) => DatanetVersion.parse(await objects.json(key)),
    roots: async (key) => z.array(z.string()).parse(await objects.json(key)),
    put: (key, body, once) => objects.put(key, body, { contentType: 'application/json', once }),
    now,
  })
  logger.info('version committed', { ...upload, ...committed })
  return committed
}
