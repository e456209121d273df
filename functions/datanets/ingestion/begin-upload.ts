import type { DataObjects } from '../data-objects.store.ts'
import type { Limits } from '../formats/limits.ts'
import { planUpload } from '../formats/plan-upload.ts'
import { UploadRefused } from '../formats/refusals.ts'
import type { IngestionRecords } from '../ingestion-records.store.ts'
import { quarantined, quarantineKey, workKeys } from '../places.ts'
import type { Begun, Upload } from './flow.ts'

interface Parts {
  records: IngestionRecords
  objects: DataObjects
  limits: Limits
  now: () => Date
  putJson: (key: string, value: unknown) => Promise<unknown>
}

/**
 * Claims the contribution for one object version and one execution, reads that version through once (size, sha256,
 * format, borders) and writes the list of chunks for the Distributed Map. Only then does the contribution get its place
 * in the registry's order. A repeated event is ignored; what the upload is wrong about refuses it.
 */
export const beginUpload = async (
  { records, objects, limits, now, putJson }: Parts,
  event: { key: string; versionId: string | undefined; execution: string },
): Promise<Begun> => {
  const named = quarantined(event.key)
  if (!named) return { outcome: 'ignored', why: 'This key is no upload of a contribution.' }
  const head = await objects.head(event.key, event.versionId)
  if (!head) return { outcome: 'ignored', why: 'The object is gone.' }
  const upload = { ...named, versionId: event.versionId ?? head.versionId }
  if (!(await records.claim(upload, event.execution)))
    return { outcome: 'ignored', why: 'The contribution is unknown, or already bound to an upload.' }
  try {
    const chunks = await plan(upload, head.bytes, { records, objects, limits, putJson })
    if (!(await records.takeTicket(upload, now().toISOString())))
      return { outcome: 'ignored', why: 'The ingestion was stopped.' }
    const { chunks: chunksKey } = workKeys(upload.datanetId, upload.contributionId)
    return { outcome: 'planned', upload, chunks, chunksKey, bucket: objects.bucket }
  } catch (error) {
    if (!(error instanceof UploadRefused)) throw error
    return { outcome: 'refused', upload, reason: { code: error.code, detail: error.message } }
  }
}

const plan = async (
  upload: Upload,
  bytes: number,
  { records, objects, limits, putJson }: Omit<Parts, 'now'>,
): Promise<number> => {
  const { datanetId, contributionId, versionId } = upload
  const contribution = await records.contribution(datanetId, contributionId)
  if (!contribution) throw new Error(`${contributionId} was claimed and is not there`)
  if (bytes !== contribution.bytes)
    throw new UploadRefused('size-mismatch', `${bytes} bytes came, ${contribution.bytes} were announced.`)
  if (bytes > limits.maxUploadBytes) throw new UploadRefused('too-large')
  if (await records.isKnown(datanetId, contribution.sha256)) throw new UploadRefused('duplicate-upload')
  const key = quarantineKey(datanetId, contributionId)
  const { chunks } = await planUpload(
    objects.stream(key, versionId),
    objects.source(key, bytes, versionId),
    contribution,
    limits,
  )
  if (chunks.length === 0) throw new UploadRefused('no-rows-accepted', 'The file has no records.')
  await putJson(workKeys(datanetId, contributionId).chunks, chunks)
  return chunks.length
}
