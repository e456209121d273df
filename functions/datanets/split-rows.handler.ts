import * as z from 'zod'
import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { DataObjects } from './data-objects.store.ts'
import { Chunk } from './formats/chunk-planner.ts'
import { LIMITS } from './formats/limits.ts'
import { Upload } from './ingestion/flow.ts'
import { splitUpload } from './ingestion/split-upload.ts'
import { quarantineKey, workKeys } from './places.ts'

const env = environment('DATA_BUCKET')
const objects = new DataObjects(env.DATA_BUCKET)
const work = new Objects(env.DATA_BUCKET)

const Input = z.object({ upload: Upload, chunk: Chunk })

/** One item of the Distributed Map: splits and checks a chunk. Run again it writes the same objects. */
export const handler = async (input: unknown): Promise<{ index: number }> => {
  const { upload, chunk } = Input.parse(input)
  const { datanetId, contributionId, versionId } = upload
  const key = quarantineKey(datanetId, contributionId)
  const head = await objects.head(key, versionId)
  if (!head) throw new Error(`${key} in version ${versionId} is gone`)
  const { candidates, rejected, signatures, summary } = await splitUpload(
    chunk,
    objects.source(key, head.bytes, versionId),
    LIMITS,
  )
  const keys = workKeys(datanetId, contributionId)
  await Promise.all([
    work.put(keys.candidates(chunk.index), candidates),
    work.put(keys.rejected(chunk.index), rejected),
    work.put(keys.signatures(chunk.index), signatures),
  ])
  await work.put(keys.summary(chunk.index), JSON.stringify(summary))
  return { index: chunk.index }
}
