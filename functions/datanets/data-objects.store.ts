import { createReadStream } from 'node:fs'
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import type { ByteSource } from './formats/parquet-source.ts'

/** Uploads and parts as streams and ranges: what is too large for the registry's Objects. */
export class DataObjects {
  readonly bucket: string
  readonly #client: S3Client

  constructor(bucket: string, client = new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED' })) {
    this.bucket = bucket
    this.#client = client
  }

  /** Size and version of an object, of its current version unless one is named; undefined where there is none. */
  async head(key: string, versionId?: string): Promise<{ bytes: number; versionId: string } | undefined> {
    try {
      const head = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.bucket, Key: key, ...versionOf(versionId) }),
      )
      return { bytes: head.ContentLength ?? 0, versionId: head.VersionId ?? 'null' }
    } catch (error) {
      if (['NotFound', 'NoSuchKey', 'NoSuchVersion'].includes((error as Error).name)) return undefined
      throw error
    }
  }

  /** The bytes of one object version, in pieces. */
  async *stream(key: string, versionId?: string): AsyncGenerator<Uint8Array> {
    const { Body } = await this.#client.send(
      new GetObjectCommand({ Bucket: this.bucket, Key: key, ...versionOf(versionId) }),
    )
    yield* Body as AsyncIterable<Uint8Array>
  }

  /** Random access to one object version. */
  source(key: string, byteLength: number, versionId?: string): ByteSource {
    return {
      byteLength,
      slice: async (start, end = byteLength) => {
        if (end <= start) return new ArrayBuffer(0)
        const { Body, ContentRange } = await this.#client.send(
          new GetObjectCommand({
            Bucket: this.bucket,
            Key: key,
            Range: `bytes=${start}-${end - 1}`,
            ...versionOf(versionId),
          }),
        )
        const sent = (await Body?.transformToByteArray()) ?? new Uint8Array(0)
        // A server may ignore Range and send the whole object (RFC 9110, 14.2), which must not pass for the range.
        const bytes = ContentRange ? sent : sent.subarray(start, end)
        return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
      },
    }
  }

  /** Uploads a local file; S3 takes up to 5 GiB in one PUT. */
  async putFile(key: string, path: string, bytes: number, contentType: string): Promise<void> {
    await this.#client.send(
      new PutObjectCommand({
        Bucket: this.bucket,
        Key: key,
        Body: bytes === 0 ? new Uint8Array(0) : createReadStream(path),
        ContentLength: bytes,
        ContentType: contentType,
      }),
    )
  }
}

/** "null" is S3's name for the version of an object in a bucket without versioning; it is asked for without a version. */
const versionOf = (versionId: string | undefined): { VersionId?: string } =>
  versionId && versionId !== 'null' ? { VersionId: versionId } : {}
