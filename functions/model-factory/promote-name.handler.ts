import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { ModelBook } from './model-book.store.ts'

const book = new ModelBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

/** Points a name at an adapter, in one write: promote, roll back (an old adapter), begin or end a canary. */
export const handler = apiDoor('promoteName', ({ caller, params, body }) =>
  book.point(`${params.namespace}/${params.name}`, caller.accountId, body),
)
