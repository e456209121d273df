import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { DatanetBook } from './datanet-book.store.ts'

const book = new DatanetBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('listDatanets', ({ query }) => book.list(query))
