import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { ModelBook } from './model-book.store.ts'
import { ownTraining } from './own-training.ts'
import { startFlow } from './training-flow.client.ts'

const env = environment('REGISTRY_TABLE', 'TRAINING_STATE_MACHINE_ARN')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))

/** A failed training begins another attempt; two retries at once begin one. */
export const handler = apiDoor('retryTraining', async ({ caller, params }) => {
  const training = ownTraining(caller, await book.training(params.trainingId))
  const next = await book.changeTraining(
    training.id,
    { state: 'queued', attempt: training.attempt + 1, reason: undefined, updatedAt: now().toISOString() } as object,
    { state: ['failed', 'stopped'], attempt: training.attempt },
  )
  await startFlow(env.TRAINING_STATE_MACHINE_ARN, next.id, next.attempt)
  return next
})
