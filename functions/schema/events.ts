import * as z from 'zod'
import { ShardPlace } from './datanets.ts'
import { ReceiptId, TrainingId } from './ids.ts'

/** One schema for each asynchronous edge. Every message names its idempotency key in the comment. */

/** S3 -> EventBridge -> ingestion flow. Key: (key, versionId). */
export const ObjectCreated = z.looseObject({
  detail: z.looseObject({
    bucket: z.looseObject({ name: z.string() }),
    object: z.looseObject({ key: z.string(), size: z.number().optional(), 'version-id': z.string().optional() }),
  }),
})

/** Ledger stream -> SQS -> attribute worker. Key: receiptId. */
export const AttributionRequested = z.strictObject({ receiptId: ReceiptId })

/** Ledger stream -> SQS -> receipt-log writer. Key: receiptId; the record is read from the table, the truth. */
export const ReceiptCompleted = z.strictObject({ receiptId: ReceiptId, epoch: z.number().int().min(1) })

/** Input of the ingestion state machine's shard step. Key: the shard's indexKey. */
export const BuildProvenanceShard = z.object({ rowsKey: z.string(), shard: ShardPlace })

/** Input of the training state machine. Key: (trainingId, attempt). */
export const TrainingRequested = z.object({ trainingId: TrainingId, attempt: z.number().int().min(1) })
