import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { OpenLedgerError } from '#schema/errors'
import type { BaseModel } from '#schema/models'
import { baseDigest, checkBaseFiles } from './base-models.ts'
import { baseUploads } from './base-upload.client.ts'
import { ModelBook } from './model-book.store.ts'

const env = environment('REGISTRY_TABLE', 'MODELS_BUCKET')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))

/** A base model that is ready is immutable: the same files are answered with no uploads, others are refused. */
export const handler = apiDoor('importBaseModel', async ({ params, body }) => {
  checkBaseFiles(body.files)
  const digest = baseDigest(body.files)
  const present = await book.findBase(params.baseId)
  if (present?.state === 'ready') {
    if (present.digest !== digest)
      throw new OpenLedgerError('conflict', `${params.baseId} is there with other files: choose another id.`)
    return { base: present, uploads: [] }
  }
  const base: BaseModel = {
    id: params.baseId,
    state: 'importing',
    digest,
    files: body.files,
    createdAt: now().toISOString(),
  }
  await book.putBase(base)
  return { base, uploads: await baseUploads(env.MODELS_BUCKET, base) }
})
