import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { DatanetBook } from './datanet-book.store.ts'
import { startErasure } from './erasure-flow.client.ts'
import { withdraw } from './withdrawals.ts'

const env = environment('REGISTRY_TABLE', 'ERASURE_STATE_MACHINE_ARN')
const book = new DatanetBook(new Records(env.REGISTRY_TABLE))
const erase = (withdrawal: Parameters<typeof startErasure>[1]) =>
  startErasure(env.ERASURE_STATE_MACHINE_ARN, withdrawal)

export const handler = apiDoor(
  'withdrawContribution',
  ({ caller, params: { datanetId, contributionId }, body: { rows } }) =>
    withdraw({ book, now, erase }, caller, datanetId, contributionId, rows),
)
