import * as z from 'zod'
import { Objects } from '#registry/objects.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { DatanetVersion } from '#schema/datanets'
import { DataObjects } from './data-objects.store.ts'
import { LIMITS } from './formats/limits.ts'
import { awaitTurn } from './ingestion/await-turn.ts'
import { deduplicateUpload } from './ingestion/deduplicate-upload.ts'
import { ChunkSummary, type Deduplicated, Upload } from './ingestion/flow.ts'
import { IngestionRecords } from './ingestion-records.store.ts'
import { workKeys } from './places.ts'
import { withSpools } from './row-spool.store.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET')
const records = new IngestionRecords(env.REGISTRY_TABLE)
const objects = new DataObjects(env.DATA_BUCKET)
const stored = new Objects(env.DATA_BUCKET)

const Input = z.object({ upload: Upload, chunks: z.number().int().min(1) })

/** Decides, in registry order, which rows are new to the Datanet; asks to wait while an earlier upload is on its way. */
export const handler = async (input: unknown): Promise<Deduplicated> => {
  const { upload, chunks } = Input.parse(input)
  const turn = await awaitTurn(records, upload, now)
  if (!turn.ready) return { outcome: 'wait', seconds: turn.seconds }
  const keys = workKeys(upload.datanetId, upload.contributionId)
  const summaries = await Promise.all(
    Array.from({ length: chunks }, async (_, index) => ChunkSummary.parse(await stored.json(keys.summary(index)))),
  )
  return withSpools((spool) =>
    deduplicateUpload(upload, turn.ticket, {
      records,
      objects,
      read: (key) => stored.bytes(key),
      contributionsOf: async (key) => {
        const withdrawn = await records.withdrawn(upload.datanetId)
        const parts = DatanetVersion.parse(await stored.json(key)).parts.map((part) => part.contribution)
        return parts.filter((contribution) => !withdrawn.has(contribution))
      },
      summaries,
      spool,
      limits: LIMITS,
    }),
  )
}
