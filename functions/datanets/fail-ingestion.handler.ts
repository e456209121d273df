import * as z from 'zod'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { Reason, Upload } from './ingestion/flow.ts'
import { IngestionRecords } from './ingestion-records.store.ts'

const records = new IngestionRecords(environment('REGISTRY_TABLE').REGISTRY_TABLE)

const Input = z.object({ upload: Upload, reason: Reason, rejected: z.number().int().optional() })

/** Records why an upload was refused and lets the next one have its turn. */
export const handler = async (input: unknown): Promise<{ rejected: boolean }> => {
  const { upload, reason, rejected } = Input.parse(input)
  const decided = await records.reject(upload, reason, rejected)
  logger.info('upload refused', { ...upload, code: reason.code, decided })
  return { rejected: decided }
}
