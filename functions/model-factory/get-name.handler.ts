import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { ModelBook } from './model-book.store.ts'

const book = new ModelBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('getName', ({ params }) => book.name(`${params.namespace}/${params.name}`))
