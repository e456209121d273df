import * as z from 'zod'
import { Objects } from '#registry/objects.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { ObjectCreated } from '#schema/events'
import { DataObjects } from './data-objects.store.ts'
import { LIMITS } from './formats/limits.ts'
import { beginUpload } from './ingestion/begin-upload.ts'
import type { Begun } from './ingestion/flow.ts'
import { IngestionRecords } from './ingestion-records.store.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET')
const parts = {
  records: new IngestionRecords(env.REGISTRY_TABLE),
  objects: new DataObjects(env.DATA_BUCKET),
  limits: LIMITS,
  now,
}
const json = new Objects(env.DATA_BUCKET)

const Input = z.object({ event: ObjectCreated, execution: z.string() })

/** First state of ingestion: claims one object version, checks it, and cuts it into chunks. */
export const handler = async (input: unknown): Promise<Begun> => {
  const { event, execution } = Input.parse(input)
  const { key, 'version-id': versionId } = event.detail.object
  const begun = await beginUpload(
    { ...parts, putJson: (name, value) => json.put(name, JSON.stringify(value), { contentType: 'application/json' }) },
    { key, versionId, execution },
  )
  logger.info('ingestion begun', { key, outcome: begun.outcome })
  return begun
}
