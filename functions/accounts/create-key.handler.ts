import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { newId, now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { AccountBook } from './accounts.store.ts'
import { hashSecret, newSecret } from './identity.ts'

const accounts = new AccountBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('createKey', async ({ caller, body }) => {
  const secret = newSecret()
  const key = { id: newId('key'), accountId: caller.accountId, ...body, revoked: false, createdAt: now().toISOString() }
  await accounts.addKey(key, hashSecret(secret))
  return { key, secret }
})
