import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { Erasure } from './erasure/erasure.ts'
import { ObjectVersions } from './object-versions.store.ts'
import { partFolder, quarantineKey, workFolder } from './places.ts'

const versions = new ObjectVersions(environment('DATA_BUCKET').DATA_BUCKET)

/** Last step of the erasure flow: replaced versions of the part go, and the upload it came from with all that was made of it. */
export const handler = async (input: unknown): Promise<{ deleted: number }> => {
  const { datanetId, contributionId } = Erasure.parse(input)
  const replaced = await versions.delete(partFolder(datanetId, contributionId), 'replaced')
  const upload = await versions.delete(quarantineKey(datanetId, contributionId), 'all')
  const work = await versions.delete(workFolder(datanetId, contributionId), 'all')
  const deleted = replaced + upload + work
  logger.info('object versions deleted', { datanetId, contributionId, deleted })
  return { deleted }
}
