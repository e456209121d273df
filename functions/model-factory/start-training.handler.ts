import { createHash } from 'node:crypto'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { newId, now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import type { Training } from '#schema/models'
import { ModelBook } from './model-book.store.ts'
import { planTraining } from './plan-training.ts'
import { requireWithinBudget, withinCost } from './quote.ts'
import { startFlow } from './training-flow.client.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET', 'TRAINING_PRICE_PER_SECOND', 'TRAINING_STATE_MACHINE_ARN')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const data = new Objects(env.DATA_BUCKET)

/** With an Idempotency-Key the same request starts one training; without it every request starts another. */
export const handler = apiDoor('startTraining', async ({ caller, body, idempotencyKey }) => {
  const id = idempotencyKey
    ? `trn_${createHash('sha256').update(`${caller.accountId}|${idempotencyKey}`).digest('hex').slice(0, 24)}`
    : newId('trn')
  const started = idempotencyKey && (await book.findTraining(id))
  if (started) {
    if (started.state === 'queued') await startFlow(env.TRAINING_STATE_MACHINE_ARN, id, started.attempt) // the first try died in between
    return started
  }
  await book.requireName(body.name, caller.accountId)
  const quote = await planTraining(book, data, body, BigInt(env.TRAINING_PRICE_PER_SECOND))
  requireWithinBudget(body, quote)
  const at = now().toISOString()
  const training: Training = {
    id,
    owner: caller.accountId,
    recipe: withinCost(body, BigInt(env.TRAINING_PRICE_PER_SECOND)),
    state: 'queued',
    attempt: 1,
    quote: quote.cost.toString(),
    createdAt: at,
    updatedAt: at,
  }
  await book.createTraining(training)
  await startFlow(env.TRAINING_STATE_MACHINE_ARN, id, 1)
  return training
})
