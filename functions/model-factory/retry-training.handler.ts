import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { OpenLedgerError } from '#schema/errors'
import type { Training } from '#schema/models'
import { trainingCharges } from './charges.store.ts'
import { ModelBook } from './model-book.store.ts'
import { ownTraining } from './own-training.ts'
import { startFlow } from './training-flow.client.ts'

const env = environment('REGISTRY_TABLE', 'LEDGER_TABLE', 'TRAINING_STATE_MACHINE_ARN')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const charges = trainingCharges(env.LEDGER_TABLE, now)

/**
 * A failed training begins another attempt, whose worst case is held anew; two retries at once begin one. One that was
 * queued and never began is started as it is: its flow's name lets it begin only once.
 */
export const handler = apiDoor('retryTraining', async ({ caller, params }) => {
  const training = ownTraining(caller, await book.training(params.trainingId))
  if (!['failed', 'stopped', 'queued'].includes(training.state))
    throw new OpenLedgerError(
      'wrong-state',
      `The training is ${training.state}: only one that failed can be tried again.`,
    )
  const again = training.state !== 'queued'
  const next = { ...training, attempt: training.attempt + (again ? 1 : 0) }
  const held = await charges.hold(next)
  const at = now().toISOString()
  let queued: Training
  try {
    queued = await book.queue(next, training.attempt, again ? ['failed', 'stopped'] : ['queued'], at)
  } catch (error) {
    if (held) await charges.release(next)
    throw error
  }
  await startFlow(env.TRAINING_STATE_MACHINE_ARN, queued.id, queued.attempt)
  return queued
})
