import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { readableContribution } from './contributions.ts'
import { DatanetBook } from './datanet-book.store.ts'

const book = new DatanetBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('getContribution', ({ caller, params: { datanetId, contributionId } }) =>
  readableContribution(book, caller, datanetId, contributionId),
)
