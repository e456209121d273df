import * as z from 'zod'
import type { ShardPlace } from '#schema/datanets'
import { ContributionId, DatanetId } from '#schema/ids'
import { FILE_REFUSALS, type FileRefusal } from '../formats/refusals.ts'

/** What one state of the ingestion flow hands to the next. */
export const Upload = z.strictObject({
  datanetId: DatanetId,
  contributionId: ContributionId,
  /** The one object version that is read; S3's "null" where the bucket keeps no versions. */
  versionId: z.string().min(1),
})
export type Upload = z.output<typeof Upload>

export const Reason = z.strictObject({
  code: z.enum(Object.keys(FILE_REFUSALS) as [FileRefusal, ...FileRefusal[]]),
  detail: z.string(),
})
export type Reason = z.output<typeof Reason>

/** `ignored`: a repeated or foreign event, nothing was done. */
export type Begun =
  | { outcome: 'ignored'; why: string }
  | { outcome: 'refused'; upload: Upload; reason: Reason }
  | { outcome: 'planned'; upload: Upload; chunks: number; chunksKey: string; bucket: string }

/** What a worker leaves about its chunk. `records` counts accepted and rejected ones. */
export const ChunkSummary = z.strictObject({
  index: z.number().int().min(0),
  records: z.number().int().min(0),
  candidates: z.number().int().min(0),
  rejected: z.number().int().min(0),
  refusal: Reason.optional(),
})
export type ChunkSummary = z.output<typeof ChunkSummary>

/** `wait`: an earlier contribution is still on its way; ask again in `seconds`. */
export type Deduplicated =
  | { outcome: 'wait'; seconds: number }
  | { outcome: 'refused'; reason: Reason; rejected: number }
  | ({ outcome: 'ready'; rowsKey: string; shards: ShardPlace[] } & Prepared)

/** A part that is written and not yet published. */
export const Prepared = z.object({
  /** Version that duplicates were sought in; the part belongs to the one after it. */
  baseVersion: z.number().int().min(0),
  rows: z.number().int().min(1),
  rejected: z.number().int().min(0),
  rowsSha256: z.string(),
  root: z.string(),
  firstSequence: z.number().int().min(0),
})
export type Prepared = z.output<typeof Prepared>

/** `stale`: another version was published meanwhile; deduplicate again. */
export type Committed = { outcome: 'published'; version: number } | { outcome: 'stale' }
