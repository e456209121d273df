import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { AccountBook } from './accounts.store.ts'

const accounts = new AccountBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('linkPayer', ({ caller, body }) => accounts.linkPayer(caller.accountId, body.accountId))
