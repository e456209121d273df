import type { DatanetVersion } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import type { Recipe } from '#schema/models'

export interface Quote {
  rows: number
  tokens: number
  steps: number
  seconds: number
  cost: bigint
}

/** Bytes of English a token of the small base's tokenizer, and tokens an instance trains in a second: rough, on the safe side. */
const BYTES_PER_TOKEN = 3
const TOKENS_PER_SECOND = 1500
const START_SECONDS = 60

/** What a recipe would take. An estimate: the job's own time limit bounds what it really may cost. */
export const quoteOf = (
  recipe: Recipe,
  versions: readonly Pick<DatanetVersion, 'rows'>[],
  rowBytes: number,
  pricePerSecond: bigint,
): Quote => {
  const rows = versions.reduce((sum, version) => sum + version.rows, 0)
  const { batchSize, epochs, maxSteps, maxSequenceLength } = recipe.hyperparameters
  const tokens = Math.min(Math.ceil(rowBytes / BYTES_PER_TOKEN), rows * maxSequenceLength)
  const stepsOfData = Math.ceil((rows * epochs) / batchSize)
  const steps = maxSteps ?? stepsOfData
  const trained = Math.ceil((tokens / Math.max(1, rows)) * batchSize * steps)
  const seconds = Math.min(recipe.limits.maxSeconds, START_SECONDS + Math.ceil(trained / TOKENS_PER_SECOND))
  return { rows, tokens, steps, seconds, cost: BigInt(seconds) * pricePerSecond }
}

/** Refuses a recipe above its own cost limit before anything is started. */
export const requireWithinBudget = (recipe: Recipe, quote: Quote): void => {
  if (recipe.limits.maxCost !== undefined && quote.cost > BigInt(recipe.limits.maxCost))
    throw new OpenLedgerError(
      'budget-exceeded',
      `limits.maxCost: the training is quoted at ${quote.cost}, the limit is ${recipe.limits.maxCost}`,
      { param: 'limits.maxCost' },
    )
}

/** The recipe with its cost limit as a time limit too: a job that turns out slower than quoted stops at what it may cost. */
export const withinCost = (recipe: Recipe, pricePerSecond: bigint): Recipe => {
  const { maxCost, maxSeconds } = recipe.limits
  if (maxCost === undefined || pricePerSecond === 0n) return recipe
  const affordable = BigInt(maxCost) / pricePerSecond
  if (affordable >= BigInt(maxSeconds)) return recipe
  if (affordable < 60n)
    throw new OpenLedgerError(
      'budget-exceeded',
      `limits.maxCost pays for ${affordable} seconds, a job takes 60 or more`,
      {
        param: 'limits.maxCost',
      },
    )
  return { ...recipe, limits: { ...recipe.limits, maxSeconds: Number(affordable) } }
}
