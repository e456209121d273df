import * as z from 'zod'
import { OpenLedgerError } from '#schema/errors'
import { Sha256 } from '#schema/ids'
import { type Adapter, AdapterCosts, FileDigest, type Training } from '#schema/models'

/** The part of the training image's manifest.json that the registry reads; its sha256 is the adapter's id. */
export const AdapterManifest = z.looseObject({
  format: z.literal('openledger-adapter'),
  trainingId: z.string(),
  base: z.looseObject({ id: z.string(), digest: Sha256, positions: z.number().int() }),
  datanets: z.array(
    z.looseObject({
      id: z.string(),
      version: z.number().int(),
      root: z.string(),
      rows: z.number().int(),
      trainedTokens: z.number().int(),
    }),
  ),
  metrics: z.record(z.string(), z.unknown()),
  influence: z.looseObject({ storeDigest: Sha256 }).nullable(),
  scorecard: z.looseObject({ confidence: z.number().int().optional() }).nullable(),
  files: z.array(FileDigest).min(1),
})
export type AdapterManifest = z.output<typeof AdapterManifest>

/** Weight of the influence pool where the training measured none: a quarter, units of 2^-20. */
const UNMEASURED_CONFIDENCE = 1 << 18

/** Files that an adapter may consist of: nothing that runs code when it is loaded. */
const PUBLISHED = /^(influence\/)?[A-Za-z0-9._-]+\.(safetensors|json|jsonl|jinja|txt|model)$/

/** Refuses a manifest that another job, another base or another Datanet version made, or that lists what may hold code. */
export const checkManifest = (bytes: Uint8Array, training: Training): AdapterManifest => {
  const manifest = parseManifest(bytes)
  const { recipe } = training
  if (manifest.trainingId !== training.id)
    throw new OpenLedgerError('conflict', `manifest.json is of ${manifest.trainingId}`)
  if (manifest.base.id !== recipe.baseId)
    throw new OpenLedgerError('conflict', `manifest.json is on ${manifest.base.id}`)
  const trainedOn = manifest.datanets.map(({ id, version }) => `${id}@${version}`)
  const asked = recipe.datanets.map(({ id, version }) => `${id}@${version}`)
  if (trainedOn.sort().join() !== asked.sort().join())
    throw new OpenLedgerError('conflict', `manifest.json is on the Datanets ${trainedOn.join(', ')}`)
  const names = manifest.files.map(({ name }) => name)
  const odd = names.find((name, i) => !PUBLISHED.test(name) || names.indexOf(name) !== i || name === 'manifest.json')
  if (odd) throw new OpenLedgerError('conflict', `manifest.json lists ${odd}, which no adapter holds once`)
  return manifest
}

const parseManifest = (bytes: Uint8Array): AdapterManifest => {
  let content: unknown
  try {
    content = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw new OpenLedgerError('conflict', 'manifest.json is not JSON', { cause: error })
  }
  const parsed = AdapterManifest.safeParse(content)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  throw new OpenLedgerError('conflict', `manifest.json: ${issue.path.join('.')}: ${issue.message}`)
}

/** costs.json of the training image; what it took must not keep an adapter from being registered: a bad one is none. */
export const readCosts = (bytes: Uint8Array): Adapter['costs'] => {
  try {
    return AdapterCosts.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch {
    return null
  }
}

export const adapterRecord = (
  id: string,
  manifest: AdapterManifest,
  training: Training,
  createdAt: string,
  costs: Adapter['costs'] = null,
): Adapter => ({
  id,
  owner: training.owner,
  name: training.recipe.name,
  trainingId: training.id,
  baseId: manifest.base.id,
  baseDigest: manifest.base.digest,
  datanets: manifest.datanets.map(({ id: datanet, version, root, trainedTokens }) => ({
    id: datanet,
    version,
    root,
    trainedTokens,
  })),
  rank: training.recipe.hyperparameters.rank,
  price: training.recipe.price,
  split: training.recipe.split,
  attribution: training.recipe.attribution,
  confidence: manifest.influence ? (manifest.scorecard?.confidence ?? UNMEASURED_CONFIDENCE) : 0,
  scorecard: manifest.scorecard,
  costs,
  influenceDigest: manifest.influence?.storeDigest ?? null,
  metrics: manifest.metrics,
  maxTokens: manifest.base.positions,
  createdAt,
})
