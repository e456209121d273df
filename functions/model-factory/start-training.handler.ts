import { createHash } from 'node:crypto'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { newId, now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import type { Training } from '#schema/models'
import { trainingCharges } from './charges.store.ts'
import { ModelBook } from './model-book.store.ts'
import { planTraining } from './plan-training.ts'
import { requireWithinBudget, withinCost } from './quote.ts'
import { worstCost } from './training-charge.ts'
import { startFlow } from './training-flow.client.ts'

const env = environment(
  'REGISTRY_TABLE',
  'LEDGER_TABLE',
  'DATA_BUCKET',
  'TRAINING_PRICE_PER_SECOND',
  'TRAINING_STATE_MACHINE_ARN',
)
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const charges = trainingCharges(env.LEDGER_TABLE, now)
const price = BigInt(env.TRAINING_PRICE_PER_SECOND)
const data = new Objects(env.DATA_BUCKET)

/**
 * With an Idempotency-Key the same request starts one training; without it every request starts another. What it may
 * cost at most is held first: 402 when the balance is short, and then nothing is written.
 */
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
  const quote = await planTraining(book, data, body, price)
  requireWithinBudget(body, quote)
  const recipe = withinCost(body, price)
  const at = now().toISOString()
  const training: Training = {
    id,
    owner: caller.accountId,
    recipe,
    state: 'queued',
    attempt: 1,
    quote: quote.cost.toString(),
    pricePerSecond: price.toString(),
    worstCost: worstCost(recipe.limits.maxSeconds, price).toString(),
    createdAt: at,
    updatedAt: at,
  }
  const held = await charges.hold(training)
  try {
    await book.createTraining(training)
  } catch (error) {
    if (held) await charges.release(training)
    throw error
  }
  await startFlow(env.TRAINING_STATE_MACHINE_ARN, id, 1)
  return training
})
