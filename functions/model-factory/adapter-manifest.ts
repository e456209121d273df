import * as z from 'zod'
import { OpenLedgerError } from '#schema/errors'
import { Sha256 } from '#schema/ids'
import { type Adapter, FileDigest, type Training } from '#schema/models'

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

/** Refuses a manifest that another job or another base made. */
export const checkManifest = (bytes: Uint8Array, training: Training): AdapterManifest => {
  const parsed = AdapterManifest.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  if (!parsed.success)
    throw new OpenLedgerError(
      'conflict',
      `manifest.json: ${parsed.error.issues[0]!.path.join('.')}: ${parsed.error.issues[0]!.message}`,
    )
  const manifest = parsed.data
  if (manifest.trainingId !== training.id)
    throw new OpenLedgerError('conflict', `manifest.json is of ${manifest.trainingId}`)
  if (manifest.base.id !== training.recipe.baseId)
    throw new OpenLedgerError('conflict', `manifest.json is on ${manifest.base.id}`)
  return manifest
}

export const adapterRecord = (
  id: string,
  manifest: AdapterManifest,
  training: Training,
  createdAt: string,
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
  influenceDigest: manifest.influence?.storeDigest ?? null,
  metrics: manifest.metrics,
  maxTokens: manifest.base.positions,
  createdAt,
})
