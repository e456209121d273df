import type * as z from 'zod'
import type { Contribution } from '#schema/datanets'
import type { UploadPlan } from '#schema/routes/datanets'
import { quarantineKey } from '../places.ts'
import { type ArrivedPart, type PresignedUploads, type UploadTarget, URL_SECONDS } from '../presigned-uploads.store.ts'
import { type PartRange, partBytesOf, partRanges } from './part-ranges.ts'

export const targetOf = ({ id, datanetId, bytes, sha256, contentType }: Contribution): UploadTarget => ({
  key: quarantineKey(datanetId, id),
  bytes,
  sha256,
  contentType,
})

/** Where to send what has not arrived: one signed PUT, or a URL for each missing part. */
export const planFor = async (
  contribution: Contribution,
  uploads: PresignedUploads,
  now: Date,
): Promise<z.input<typeof UploadPlan>> => {
  const target = targetOf(contribution)
  const { uploadId } = contribution
  const expiresAt = new Date(now.getTime() + URL_SECONDS * 1000).toISOString()
  if (!uploadId) return { contribution, expiresAt, put: await uploads.put(target) }
  const arrived = (await uploads.arrived(target.key, uploadId)) ?? []
  const parts = await Promise.all(
    partRanges(contribution.bytes).map(async (range) => ({
      ...range,
      url: await uploads.part(target.key, uploadId, range),
      done: hasArrived(range, arrived),
    })),
  )
  return { contribution, expiresAt, multipart: { uploadId, partBytes: partBytesOf(contribution.bytes), parts } }
}

/** A part of another length than planned has to be sent again. */
export const hasArrived = ({ part, start, end }: PartRange, arrived: ArrivedPart[]): boolean =>
  arrived.some((candidate) => candidate.part === part && candidate.bytes === end - start)
