import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { failureOf } from './ingestion/failure.ts'
import { IngestionRecords } from './ingestion-records.store.ts'

const records = new IngestionRecords(environment('REGISTRY_TABLE').REGISTRY_TABLE)

/** Records why an upload was refused, or that its ingestion failed, and lets the next one have its turn. */
export const handler = async (input: unknown): Promise<{ rejected: boolean }> => {
  const failure = failureOf(input)
  if (!failure) return { rejected: false }
  const { upload, execution, reason, rejected } = failure
  const decided = await records.reject(upload, execution, reason, rejected)
  logger.info('upload rejected', { ...upload, code: reason.code, decided })
  return { rejected: decided }
}
