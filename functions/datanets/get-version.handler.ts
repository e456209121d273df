import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { DatanetVersion } from '#schema/datanets'
import { DatanetBook } from './datanet-book.store.ts'
import { versionKey } from './places.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET')
const book = new DatanetBook(new Records(env.REGISTRY_TABLE))
const objects = new Objects(env.DATA_BUCKET)

/** The record says that the version is published; the manifest in the bucket says what it holds. */
export const handler = apiDoor('getVersion', async ({ params: { datanetId, version } }) => {
  await book.version(datanetId, version)
  return DatanetVersion.parse(await objects.json(versionKey(datanetId, version)))
})
