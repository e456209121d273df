import { DeleteObjectsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3'

/** All versions of objects: what a bucket with versioning keeps when something is replaced. */
export class ObjectVersions {
  readonly #bucket: string
  readonly #client: S3Client
  constructor(bucket: string, client = new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED' })) {
    this.#bucket = bucket
    this.#client = client
  }

  /** Deletes the versions under a prefix for good: all, or those that are no longer the current ones. Returns how many. */
  async delete(prefix: string, which: 'all' | 'replaced'): Promise<number> {
    let deleted = 0
    let from: { KeyMarker: string | undefined; VersionIdMarker: string | undefined } | undefined
    do {
      const page = await this.#client.send(
        new ListObjectVersionsCommand({ Bucket: this.#bucket, Prefix: prefix, ...from }),
      )
      const found = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]
      const doomed = found.filter(({ IsLatest }) => which === 'all' || !IsLatest)
      if (doomed.length > 0) {
        const { Errors = [] } = await this.#client.send(
          new DeleteObjectsCommand({
            Bucket: this.#bucket,
            Delete: { Objects: doomed.map(({ Key, VersionId }) => ({ Key, VersionId })), Quiet: true },
          }),
        )
        if (Errors.length > 0) throw new Error(`${Errors.length} versions stay, the first for ${Errors[0]!.Code}`)
      }
      deleted += doomed.length
      from = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker } : undefined
    } while (from)
    return deleted
  }
}
