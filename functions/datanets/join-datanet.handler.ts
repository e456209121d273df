import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { DatanetBook } from './datanet-book.store.ts'

const book = new DatanetBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('joinDatanet', async ({ caller, params }) => {
  const { id } = await book.get(params.datanetId)
  return book.join(id, caller.accountId, now().toISOString())
})
