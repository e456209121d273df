import * as z from 'zod'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { TrainingRequested } from '#schema/events'
import { failureReason } from './failure-reason.ts'
import { ModelBook } from './model-book.store.ts'

const book = new ModelBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))
const Failed = TrainingRequested.extend({
  error: z.object({ Error: z.string().optional(), Cause: z.string().optional() }),
})

/** Any failed step ends here: the training says why, in the image's own words, and may be tried again. */
export const handler = async (event: unknown): Promise<{ reason: string }> => {
  const { trainingId, attempt, error } = Failed.parse(event)
  const reason = failureReason(error)
  await book.changeTraining(trainingId, { state: 'failed', reason, updatedAt: now().toISOString() }, { attempt })
  return { reason }
}
