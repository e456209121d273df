import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { newId, now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { Datanet, PayoutPolicy } from '#schema/datanets'
import { DatanetBook } from './datanet-book.store.ts'

const book = new DatanetBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('createDatanet', async ({ caller, body: { policy, ...body } }) => {
  const datanet = Datanet.parse({
    id: newId('dn'),
    ...body,
    curator: caller.accountId,
    policy: PayoutPolicy.parse({ residual: { to: 'refund' }, ...policy }),
    version: 0,
    rows: 0,
    createdAt: now().toISOString(),
  })
  await book.found(datanet)
  return datanet
})
