import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { jobMetricLines } from './job-log.client.ts'
import { metricPoints } from './metrics.ts'
import { ModelBook } from './model-book.store.ts'
import { ownTraining } from './own-training.ts'

const book = new ModelBook(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('getTrainingMetrics', async ({ caller, params }) => {
  const training = ownTraining(caller, await book.training(params.trainingId))
  return { state: training.state, points: training.jobName ? metricPoints(await jobMetricLines(training.jobName)) : [] }
})
