import { until } from './api-client.ts'
import type { ExampleContext } from './context.ts'
import type { FilledDatanet } from './datanets.ts'
import type { Person } from './people.ts'

export interface TrainedAdapter {
  id: string
  name: string
}

/** Small enough for two cores, large enough that the adapter knows its Datanet's texts: 24 passes over 70 sentences take 37 s of one core. */
const HYPERPARAMETERS = {
  rank: 32,
  alpha: 256,
  learningRate: 0.002,
  maxSteps: 420,
  batchSize: 4,
  maxSequenceLength: 192,
  seed: 7,
  evalFraction: 0,
  schedule: 'cosine',
}

const recipeFor = (datanet: FilledDatanet, baseId: string) => ({
  name: datanet.recipe.adapter,
  baseId,
  datanets: [{ id: datanet.id, version: datanet.version }],
  method: 'lora',
  hyperparameters: HYPERPARAMETERS,
  // 0.4 and 0.8 OPEN per thousand tokens, in units of 1e-18.
  price: { inputPer1000: '400000000000000000', outputPer1000: '800000000000000000' },
  split: { ownerBps: 2000, stakersBps: 0, contributorsBps: 8000 },
})

/** One training a Datanet, all at once; tells the loss as it falls. */
export const trainAll = async (
  context: ExampleContext,
  builder: Person,
  datanets: readonly FilledDatanet[],
  baseId: string,
): Promise<TrainedAdapter[]> => {
  const started = []
  for (const datanet of datanets) {
    const recipe = recipeFor(datanet, baseId)
    const quote = await builder.api.post('/recipes:quote', recipe)
    const training = await context.journal.once(`training ${recipe.name}`, () =>
      builder.api.call('POST', '/trainings', recipe, { 'idempotency-key': `example-${datanet.id}` }),
    )
    context.log(`${recipe.name}: training ${training.id} started, quoted ${quote.steps} steps`)
    started.push({ id: training.id as string, name: recipe.name })
  }
  return Promise.all(started.map((training) => finished(context, builder, training)))
}

const finished = async (
  context: ExampleContext,
  builder: Person,
  training: { id: string; name: string },
): Promise<TrainedAdapter> => {
  let told = 0
  const done = await until(
    `training of ${training.name}`,
    600,
    async () => {
      const state = await builder.api.get(`/trainings/${training.id}`)
      if (state.state === 'failed') throw new Error(`${training.name}: training failed: ${state.reason}`)
      if (state.state === 'completed') return state
      const { points } = await builder.api.get(`/trainings/${training.id}/metrics`)
      const last = points.findLast((point: Record<string, number>) => point['train_loss'] !== undefined)
      if (last && last['step'] > told + 59) {
        told = last['step']
        context.log(`${training.name}: step ${last['step']}, loss ${last['train_loss'].toFixed(2)}`)
      }
      return undefined
    },
    1500,
  )
  context.log(`${training.name}: adapter ${done.adapterId}`)
  return { id: done.adapterId, name: training.name }
}
