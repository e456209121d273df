import * as z from 'zod'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { TrainingRequested } from '#schema/events'
import { trainingCharges } from './charges.store.ts'
import { StepError, withoutEndpoint } from './failure-reason.ts'
import { ModelBook } from './model-book.store.ts'

const env = environment('REGISTRY_TABLE', 'LEDGER_TABLE', 'PLATFORM_PAYEE')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const charges = trainingCharges(env.LEDGER_TABLE, now)

/** The job as DescribeTrainingJob gives it (SageMaker API reference): spot's billable seconds are fewer than the job's. */
const Completed = TrainingRequested.extend({
  job: z.looseObject({ BillableTimeInSeconds: z.number().int().min(0) }),
  hosting: z.union([z.object({ ready: z.literal(true) }), StepError]),
})

/** Last step of the training flow: there is an adapter, so the training is charged, once. */
export const handler = async (event: unknown): Promise<void> => {
  const { trainingId, attempt, job, hosting } = Completed.parse(event)
  const training = await book.training(trainingId)
  const adapter = await book.adapter(training.adapterId!)
  const at = now().toISOString()
  const platform = { payee: env.PLATFORM_PAYEE, at }
  const bill = await charges.settle(
    { ...training, attempt },
    adapter,
    await book.terms(adapter),
    job.BillableTimeInSeconds,
    platform,
  )
  const money = bill ? { charged: bill.fee, receiptId: bill.receiptId } : {}
  const notice = 'ready' in hosting ? {} : { notice: withoutEndpoint(hosting) }
  await book.changeTraining(trainingId, { state: 'completed', ...money, ...notice, updatedAt: at }, { attempt })
}
