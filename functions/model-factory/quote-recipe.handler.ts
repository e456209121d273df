import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { ModelBook } from './model-book.store.ts'
import { planTraining } from './plan-training.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET', 'TRAINING_PRICE_PER_SECOND')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const data = new Objects(env.DATA_BUCKET)

export const handler = apiDoor('quoteRecipe', async ({ body }) => {
  const quote = await planTraining(book, data, body, BigInt(env.TRAINING_PRICE_PER_SECOND))
  return { ...quote, cost: quote.cost.toString() }
})
