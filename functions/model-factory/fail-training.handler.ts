import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { trainingCharges } from './charges.store.ts'
import { failedAttempt } from './failure-reason.ts'
import { ModelBook } from './model-book.store.ts'

const env = environment('REGISTRY_TABLE', 'LEDGER_TABLE')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const charges = trainingCharges(env.LEDGER_TABLE, now)

/** Any failed step ends here: the held money goes back whole, the training says why and may be tried again. */
export const handler = async (event: unknown): Promise<{ reason: string }> => {
  const { trainingId, attempt, reason } = failedAttempt(event)
  await charges.release({ ...(await book.training(trainingId)), attempt })
  const failed = await book.failTraining(trainingId, attempt, { reason, updatedAt: now().toISOString() })
  logger.info('training failed', { trainingId, attempt, reason, failed })
  return { reason }
}
