import { createHash } from 'node:crypto'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { OpenLedgerError } from '#schema/errors'
import { baseKey } from './base-models.ts'
import { ModelBook } from './model-book.store.ts'

const env = environment('REGISTRY_TABLE', 'MODELS_BUCKET')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const models = new Objects(env.MODELS_BUCKET)
/** Larger files were checked by S3 against the signed checksum when they were put; reading them again would not fit here. */
const READ_AGAIN_BELOW = 256 << 20

export const handler = apiDoor('completeBaseModel', async ({ params }) => {
  const base = await book.base(params.baseId)
  for (const { name, bytes, sha256 } of base.files) {
    const key = baseKey(base.id, name)
    const head = await models.head(key)
    if (!head) throw new OpenLedgerError('upload-missing', `${name} has not been uploaded yet.`, { param: name })
    if (head.bytes !== bytes)
      throw new OpenLedgerError('checksum-mismatch', `${name} has ${head.bytes} bytes, ${bytes} were announced.`, {
        param: name,
      })
    if (bytes > READ_AGAIN_BELOW) continue
    const digest = createHash('sha256')
      .update(await models.bytes(key))
      .digest('hex')
    if (digest !== sha256)
      throw new OpenLedgerError('checksum-mismatch', `${name} has another sha256 than announced.`, { param: name })
  }
  return book.releaseBase(base.id, base.digest)
})
