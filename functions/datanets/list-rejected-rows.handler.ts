import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { readableContribution } from './contributions.ts'
import { DataObjects } from './data-objects.store.ts'
import { DatanetBook } from './datanet-book.store.ts'
import { partKeys } from './places.ts'
import { rejectedPage } from './rejected-rows.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET')
const book = new DatanetBook(new Records(env.REGISTRY_TABLE))
const objects = new DataObjects(env.DATA_BUCKET)

/** An upload that is not split yet, or was refused as a whole, has no rejected rows. */
export const handler = apiDoor('listRejectedRows', async ({ caller, params: { datanetId, contributionId }, query }) => {
  await readableContribution(book, caller, datanetId, contributionId)
  const { rejected } = partKeys(datanetId, contributionId)
  const head = await objects.head(rejected)
  if (!head) return { items: [], cursor: null }
  return rejectedPage(objects.source(rejected, head.bytes, head.versionId), query.limit, query.cursor)
})
