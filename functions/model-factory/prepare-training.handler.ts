import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { TrainingRequested } from '#schema/events'
import { trainingCharges } from './charges.store.ts'
import { ModelBook, recipeVersions } from './model-book.store.ts'
import { createTrainingJob, jobFile, jobNameOf, trainingPrefix } from './training-job.ts'

const env = environment(
  'REGISTRY_TABLE',
  'LEDGER_TABLE',
  'DATA_BUCKET',
  'MODELS_BUCKET',
  'FINE_TUNE_IMAGE',
  'TRAINING_ROLE_ARN',
  'TRAINING_INSTANCE_TYPE',
  'TRAINING_SPOT',
)
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const charges = trainingCharges(env.LEDGER_TABLE, now)
const spot = env.TRAINING_SPOT === 'true'
const data = new Objects(env.DATA_BUCKET)
const models = new Objects(env.MODELS_BUCKET)

/** First step of the training flow: the job's channels are laid out, and the request for SageMaker is made. */
export const handler = async (
  event: unknown,
): Promise<{ trainingId: string; attempt: number; baseId: string; rank: number; jobName: string; request: object }> => {
  const { trainingId, attempt } = TrainingRequested.parse(event)
  const training = await book.training(trainingId)
  await charges.keep({ ...training, attempt }, spot)
  const { recipe } = training
  const [base, versions] = await Promise.all([book.base(recipe.baseId), recipeVersions(data, recipe)])
  const prefix = trainingPrefix(trainingId)
  for (const { datanetId, parts } of versions)
    for (const { contribution, rowsKey } of parts)
      await models.copyFrom(data.bucket, rowsKey, `${prefix}/rows/${datanetId}/${contribution}.jsonl`)
  await models.put(`${prefix}/job/job.json`, JSON.stringify(jobFile(training, base, versions)), {
    contentType: 'application/json',
  })
  const jobName = jobNameOf(trainingId, attempt)
  await book.changeTraining(trainingId, { state: 'training', jobName, updatedAt: now().toISOString() }, { attempt })
  const settings = {
    image: env.FINE_TUNE_IMAGE,
    roleArn: env.TRAINING_ROLE_ARN,
    instanceType: env.TRAINING_INSTANCE_TYPE,
    bucket: env.MODELS_BUCKET,
    spot,
  }
  return {
    trainingId,
    attempt,
    baseId: recipe.baseId,
    rank: recipe.hyperparameters.rank,
    jobName,
    request: createTrainingJob(training, settings),
  }
}
