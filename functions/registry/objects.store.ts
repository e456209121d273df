import { createHash } from 'node:crypto'
import {
  CopyObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { OpenLedgerError } from '#schema/errors'

/** Objects of one bucket: manifests, rows, transcripts, receipt log. */
export class Objects {
  readonly bucket: string
  readonly #client: S3Client

  constructor(
    bucket: string,
    client = new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' }),
  ) {
    this.bucket = bucket
    this.#client = client
  }

  /** Throws `not-found` naming the key. `range` is half-open, in bytes; `etag`: only while the object has not been replaced. */
  async bytes(
    key: string,
    options: { versionId?: string | undefined; range?: [number, number]; etag?: string | undefined } = {},
  ): Promise<Uint8Array> {
    try {
      const { Body } = await this.#client.send(
        new GetObjectCommand({
          Bucket: this.bucket,
          Key: key,
          ...(options.versionId ? { VersionId: options.versionId } : {}),
          ...(options.etag ? { IfMatch: options.etag } : {}),
          ...(options.range ? { Range: `bytes=${options.range[0]}-${options.range[1] - 1}` } : {}),
        }),
      )
      return await Body!.transformToByteArray()
    } catch (error) {
      if (isMissing(error)) throw new OpenLedgerError('not-found', `There is no object ${key}.`, { cause: error })
      throw error
    }
  }

  async text(key: string): Promise<string> {
    return Buffer.from(await this.bytes(key)).toString('utf8')
  }

  async json(key: string): Promise<unknown> {
    return JSON.parse(await this.text(key))
  }

  /** Size in bytes, version and the tag of its content, or undefined when there is no such object. */
  async head(
    key: string,
    versionId?: string,
  ): Promise<
    | { bytes: number; versionId: string | undefined; contentType: string | undefined; etag: string | undefined }
    | undefined
  > {
    try {
      const head = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.bucket, Key: key, ...(versionId ? { VersionId: versionId } : {}) }),
      )
      return {
        bytes: head.ContentLength ?? 0,
        versionId: head.VersionId,
        contentType: head.ContentType,
        etag: head.ETag,
      }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  /** Writes and returns the sha256 of the body. `once`: never replaces; an equal object is fine, another throws `conflict`. */
  async put(
    key: string,
    body: Uint8Array | string,
    options: { contentType?: string; once?: boolean } = {},
  ): Promise<string> {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const digest = createHash('sha256').update(bytes).digest('hex')
    try {
      await this.#client.send(
        new PutObjectCommand({
          Bucket: this.bucket,
          Key: key,
          Body: bytes,
          ContentType: options.contentType ?? 'application/octet-stream',
          ...(options.once ? { IfNoneMatch: '*' } : {}),
        }),
      )
    } catch (error) {
      if (!options.once || (error as Error).name !== 'PreconditionFailed') throw error
      const present = createHash('sha256')
        .update(await this.bytes(key))
        .digest('hex')
      if (present !== digest)
        throw new OpenLedgerError('conflict', `Another object stands at ${key}.`, { cause: error })
    }
    return digest
  }

  /** All keys under a prefix, in order. */
  async list(prefix: string): Promise<{ key: string; bytes: number }[]> {
    const found: { key: string; bytes: number }[] = []
    let token: string | undefined
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.bucket,
          Prefix: prefix,
          ...(token ? { ContinuationToken: token } : {}),
        }),
      )
      for (const object of page.Contents ?? []) found.push({ key: object.Key!, bytes: object.Size ?? 0 })
      token = page.NextContinuationToken
    } while (token)
    return found
  }

  /** Copies an object of this or another bucket into this one, inside S3 (5 GB at most). */
  async copyFrom(bucket: string, from: string, to: string): Promise<void> {
    const source = `${bucket}/${from.split('/').map(encodeURIComponent).join('/')}`
    await this.#client.send(new CopyObjectCommand({ Bucket: this.bucket, Key: to, CopySource: source }))
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof NoSuchKey || ['NotFound', 'NoSuchKey', 'NoSuchVersion'].includes((error as Error).name)
