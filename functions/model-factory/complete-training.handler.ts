import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { TrainingRequested } from '#schema/events'
import { ModelBook } from './model-book.store.ts'

const book = new ModelBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

/** Last step of the training flow: the adapter can be asked. */
export const handler = async (event: unknown): Promise<void> => {
  const { trainingId, attempt } = TrainingRequested.parse(event)
  await book.changeTraining(trainingId, { state: 'completed', updatedAt: now().toISOString() }, { attempt })
}
