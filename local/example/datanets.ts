import { createHash } from 'node:crypto'
import { until, upload } from './api-client.ts'
import type { ExampleContext } from './context.ts'
import type { People, Person } from './people.ts'
import { type ContributorRecipe, type DatanetRecipe, sentencesOf, uploadOf } from './texts.ts'

export interface FilledDatanet {
  id: string
  recipe: DatanetRecipe
  version: number
  contributors: { person: Person; recipe: ContributorRecipe; sentences: string[]; rows: number; rejected: number }[]
}

/** A curator founds the Datanet, contributors join and upload, each their own texts in their own format. */
export const fillDatanet = async (
  context: ExampleContext,
  people: People,
  curator: Person,
  recipe: DatanetRecipe,
): Promise<FilledDatanet> => {
  const { journal } = context
  const datanet = await journal.once(`datanet ${recipe.name}`, () =>
    curator.api.post('/datanets', {
      name: recipe.name,
      field: recipe.field,
      description: recipe.description,
      licence: recipe.licence,
      policy: { residual: { to: 'refund' } },
    }),
  )
  const contributors = []
  for (const each of recipe.contributors) contributors.push(await announce(context, people, datanet.id, each))
  const filled = []
  for (const { contributionId, ...contributor } of contributors) {
    const state = await until(`rows of ${contributor.recipe.name}`, 180, async () => {
      const contribution = await contributor.person.api.get(`/datanets/${datanet.id}/contributions/${contributionId}`)
      if (contribution.state === 'rejected')
        throw new Error(`${contributor.recipe.name}: ${contribution.reason?.code} ${contribution.reason?.detail}`)
      // Withdrawn: by somebody who plays with the platform after the example. Its rows had been accepted.
      return ['accepted', 'withdrawn'].includes(contribution.state) ? contribution : undefined
    })
    filled.push({ ...contributor, rows: state.rowsAccepted as number, rejected: (state.rowsRejected ?? 0) as number })
    context.log(
      `${recipe.name}: ${state.rowsAccepted} rows of ${contributor.recipe.name} accepted, ${state.rowsRejected ?? 0} rejected`,
    )
  }
  const { version } = await curator.api.get(`/datanets/${datanet.id}`)
  return { id: datanet.id, recipe, version, contributors: filled }
}

const announce = async ({ journal }: ExampleContext, people: People, datanetId: string, recipe: ContributorRecipe) => {
  const person = await people.person(recipe.name)
  const sentences = sentencesOf(recipe)
  const { body, filename, contentType } = uploadOf(recipe, sentences)
  await journal.once(`member ${recipe.name}`, () => person.api.post(`/datanets/${datanetId}/members`))
  const contributionId = await journal.once(`contribution ${recipe.name}`, async () => {
    const plan = await person.api.post(`/datanets/${datanetId}/contributions`, {
      filename,
      contentType,
      bytes: body.length,
      sha256: createHash('sha256').update(body).digest('hex'),
    })
    await upload(plan.put, body)
    return plan.contribution.id as string
  })
  return { contributionId, person, recipe, sentences }
}
