import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'
import type { Recipe } from '#schema/models'
import { type ModelBook, recipeVersions } from './model-book.store.ts'
import { type Quote, quoteOf } from './quote.ts'

/** Checks that a recipe can be trained, and says what it takes. */
export const planTraining = async (
  book: ModelBook,
  data: Objects,
  recipe: Recipe,
  pricePerSecond: bigint,
): Promise<Quote> => {
  const base = await book.findBase(recipe.baseId)
  if (base?.state !== 'ready')
    throw new OpenLedgerError(
      'invalid-request',
      `baseId: there is no base model ${recipe.baseId}; GET /base-models lists them`,
      { param: 'baseId' },
    )
  const versions = await recipeVersions(data, recipe)
  const sizes = await Promise.all(
    versions.flatMap(({ parts }) => parts.map(async ({ rowsKey }) => (await data.head(rowsKey))?.bytes ?? 0)),
  )
  return quoteOf(
    recipe,
    versions,
    sizes.reduce((a, b) => a + b, 0),
    pricePerSecond,
  )
}
