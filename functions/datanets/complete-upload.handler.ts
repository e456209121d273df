import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { complete } from './contributions.ts'
import { DatanetBook } from './datanet-book.store.ts'
import { PresignedUploads } from './presigned-uploads.store.ts'

const env = environment('REGISTRY_TABLE', 'DATA_BUCKET')
const book = new DatanetBook(new Records(env.REGISTRY_TABLE))
const uploads = new PresignedUploads(env.DATA_BUCKET)

export const handler = apiDoor('completeUpload', ({ caller, params: { datanetId, contributionId } }) =>
  complete({ book, uploads }, caller, datanetId, contributionId),
)
