import type * as z from 'zod'
import type { Contribute, Contribution } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import type { UploadPlan } from '#schema/routes/datanets'
import type { DatanetBook } from './datanet-book.store.ts'
import type { PresignedUploads } from './presigned-uploads.store.ts'
import { checkAnnouncement, contributionIdOf, needsParts } from './uploads/announce-upload.ts'
import { partRanges } from './uploads/part-ranges.ts'
import { hasArrived, planFor, targetOf } from './uploads/upload-plan.ts'

type Plan = z.input<typeof UploadPlan>
interface Desk {
  book: DatanetBook
  uploads: PresignedUploads
  now: () => Date
  newId: (prefix: string) => string
}

/** Announces an upload: members only, new bytes only. */
export const announce = async (
  { book, uploads, now, newId }: Desk,
  caller: { accountId: string },
  datanetId: string,
  announcement: z.output<typeof Contribute>,
  idempotencyKey: string | undefined,
): Promise<Plan> => {
  await book.get(datanetId)
  if (!(await book.isMember(datanetId, caller.accountId)))
    throw new OpenLedgerError('forbidden', 'Only members contribute: join with POST /datanets/{id}/members.')
  checkAnnouncement(announcement)
  const id = contributionIdOf(caller.accountId, datanetId, idempotencyKey, () => newId('ctr'))
  const repeated = idempotencyKey ? await findContribution(book, datanetId, id) : undefined
  if (repeated) {
    if (repeated.sha256 !== announcement.sha256 || repeated.bytes !== announcement.bytes)
      throw new OpenLedgerError('conflict', 'This Idempotency-Key announced another upload.')
    return planFor(repeated, uploads, now())
  }
  if (await book.firstWith(datanetId, announcement.sha256))
    throw new OpenLedgerError('already-exists', 'These very bytes are already in the Datanet.', { param: 'sha256' })
  const contribution: Contribution = {
    id,
    datanetId,
    contributor: caller.accountId,
    state: 'awaiting-upload',
    ...announcement,
    createdAt: now().toISOString(),
  }
  if (needsParts(contribution)) contribution.uploadId = await uploads.startMultipart(targetOf(contribution))
  await book.announce(contribution)
  return planFor(contribution, uploads, now())
}

/** Fresh URLs for what has not arrived; a multipart upload that S3 has dropped starts anew. */
export const resume = async (
  { book, uploads, now }: Omit<Desk, 'newId'>,
  caller: { accountId: string },
  datanetId: string,
  contributionId: string,
): Promise<Plan> => {
  const contribution = await ownContribution(book, caller, datanetId, contributionId)
  expectWaiting(contribution)
  const target = targetOf(contribution)
  if (!contribution.uploadId || (await uploads.arrived(target.key, contribution.uploadId)))
    return planFor(contribution, uploads, now())
  const renewed = await book.bindUpload(datanetId, contributionId, await uploads.startMultipart(target))
  return planFor(renewed, uploads, now())
}

/** Puts the parts together, which starts the ingestion. Done before, it answers with the contribution as it is. */
export const complete = async (
  { book, uploads }: Pick<Desk, 'book' | 'uploads'>,
  caller: { accountId: string },
  datanetId: string,
  contributionId: string,
): Promise<Contribution> => {
  const contribution = await ownContribution(book, caller, datanetId, contributionId)
  if (contribution.state !== 'awaiting-upload') return contribution
  const { uploadId } = contribution
  if (!uploadId) throw new OpenLedgerError('wrong-state', 'This upload is one PUT: there are no parts to put together.')
  const { key } = targetOf(contribution)
  const arrived = await uploads.arrived(key, uploadId)
  if (!arrived)
    throw new OpenLedgerError('upload-missing', 'The upload has expired: resume it and send the parts again.')
  const missing = partRanges(contribution.bytes).filter((range) => !hasArrived(range, arrived))
  if (missing.length > 0)
    throw new OpenLedgerError(
      'upload-missing',
      `Parts that have not arrived: ${missing.slice(0, 20).map(({ part }) => part)}.`,
    )
  await uploads.complete(key, uploadId, arrived)
  return contribution
}

/** For the contributor and the curator; to anybody else it does not exist. */
export const readableContribution = async (
  book: Pick<DatanetBook, 'get' | 'contribution'>,
  caller: { accountId: string },
  datanetId: string,
  contributionId: string,
): Promise<Contribution> => {
  const [datanet, contribution] = [await book.get(datanetId), await book.contribution(datanetId, contributionId)]
  if (![contribution.contributor, datanet.curator].includes(caller.accountId))
    throw new OpenLedgerError('not-found', 'There is no such contribution.')
  return contribution
}

const ownContribution = async (
  book: DatanetBook,
  caller: { accountId: string },
  datanetId: string,
  contributionId: string,
): Promise<Contribution> => {
  const contribution = await readableContribution(book, caller, datanetId, contributionId)
  if (contribution.contributor !== caller.accountId)
    throw new OpenLedgerError('forbidden', 'Only the contributor sends the bytes.')
  return contribution
}

const expectWaiting = ({ state }: Contribution): void => {
  if (state !== 'awaiting-upload')
    throw new OpenLedgerError('wrong-state', `The contribution is ${state}: its upload has arrived.`)
}

const findContribution = async (
  book: DatanetBook,
  datanetId: string,
  id: string,
): Promise<Contribution | undefined> => {
  try {
    return await book.contribution(datanetId, id)
  } catch (error) {
    if (error instanceof OpenLedgerError && error.code === 'not-found') return undefined
    throw error
  }
}
