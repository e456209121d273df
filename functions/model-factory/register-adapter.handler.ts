import { createHash } from 'node:crypto'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { OpenLedgerError } from '#schema/errors'
import { TrainingRequested } from '#schema/events'
import { adapterRecord, checkManifest, readCosts } from './adapter-manifest.ts'
import { ModelBook } from './model-book.store.ts'
import { jobNameOf, outputPrefix } from './training-job.ts'

const env = environment('REGISTRY_TABLE', 'MODELS_BUCKET')
const book = new ModelBook(new Records(env.REGISTRY_TABLE))
const models = new Objects(env.MODELS_BUCKET)

/** After the job: every file is what the manifest says, then the adapter is copied to its id, registered and named. */
export const handler = async (event: unknown): Promise<{ adapterId: string }> => {
  const { trainingId, attempt } = TrainingRequested.parse(event)
  const training = await book.changeTraining(
    trainingId,
    { state: 'registering', updatedAt: now().toISOString() },
    { attempt, state: ['training', 'registering'] },
  )
  const from = outputPrefix(trainingId, jobNameOf(trainingId, attempt))
  const bytes = await models.bytes(`${from}manifest.json`)
  const manifest = checkManifest(bytes, training)
  const adapterId = createHash('sha256').update(bytes).digest('hex').slice(0, 32)
  for (const { name, sha256 } of manifest.files) {
    const digest = createHash('sha256')
      .update(await models.bytes(`${from}${name}`))
      .digest('hex')
    if (digest !== sha256) throw new OpenLedgerError('conflict', `${name} is not the file that the manifest lists`)
    await models.copyFrom(models.bucket, `${from}${name}`, `adapters/${adapterId}/${name}`)
  }
  // The manifest goes last: who finds it finds a whole adapter.
  await models.put(`adapters/${adapterId}/manifest.json`, bytes, { contentType: 'application/json' })
  const costs = await models.bytes(`${from}costs.json`).then(readCosts, () => null)
  await book.register(adapterRecord(adapterId, manifest, training, now().toISOString(), costs))
  await book.changeTraining(trainingId, { adapterId }, { attempt })
  return { adapterId }
}
