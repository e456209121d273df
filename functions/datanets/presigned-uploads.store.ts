import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { OpenLedgerError } from '#schema/errors'
import type { PartRange } from './uploads/part-ranges.ts'

export interface UploadTarget {
  key: string
  bytes: number
  /** 64 hex digits. */
  sha256: string
  contentType: string
}
/** A part that has arrived: what S3 says about it. */
export interface ArrivedPart {
  part: number
  bytes: number
  etag: string
}

/** Seconds that a presigned URL is good for. */
export const URL_SECONDS = 3600

/**
 * Presigned uploads into the quarantine. Length, sha256, content type and `If-None-Match: *` are signed headers: S3
 * refuses other bytes and a second object, whoever holds the URL. (Without WHEN_REQUIRED the SDK would sign the CRC32
 * of an empty body; hoisted into the query S3 would ignore the checksum.)
 */
export class PresignedUploads {
  readonly #bucket: string
  readonly #client: S3Client

  constructor(bucket: string, client = new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED' })) {
    this.#bucket = bucket
    this.#client = client
  }

  async put({
    key,
    bytes,
    sha256,
    contentType,
  }: UploadTarget): Promise<{ url: string; headers: Record<string, string> }> {
    const checksum = Buffer.from(sha256, 'hex').toString('base64')
    const url = await getSignedUrl(
      this.#client,
      new PutObjectCommand({
        Bucket: this.#bucket,
        Key: key,
        ContentLength: bytes,
        ContentType: contentType,
        ChecksumSHA256: checksum,
        IfNoneMatch: '*',
      }),
      {
        expiresIn: URL_SECONDS,
        signableHeaders: new Set(['content-type', 'content-length', 'if-none-match', 'x-amz-checksum-sha256', 'host']),
        unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
      },
    )
    return {
      url,
      headers: {
        'content-length': String(bytes),
        'content-type': contentType,
        'if-none-match': '*',
        'x-amz-checksum-sha256': checksum,
      },
    }
  }

  async startMultipart({ key, contentType }: UploadTarget): Promise<string> {
    const { UploadId } = await this.#client.send(
      new CreateMultipartUploadCommand({ Bucket: this.#bucket, Key: key, ContentType: contentType }),
    )
    if (!UploadId) throw new Error('S3 gave no upload id')
    return UploadId
  }

  /** A URL for one part; its length is signed. */
  part(key: string, uploadId: string, { part, start, end }: PartRange): Promise<string> {
    return getSignedUrl(
      this.#client,
      new UploadPartCommand({
        Bucket: this.#bucket,
        Key: key,
        UploadId: uploadId,
        PartNumber: part,
        ContentLength: end - start,
      }),
      { expiresIn: URL_SECONDS, signableHeaders: new Set(['content-length', 'host']) },
    )
  }

  /** The parts that have arrived; undefined when S3 no longer knows the upload. */
  async arrived(key: string, uploadId: string): Promise<ArrivedPart[] | undefined> {
    const parts: ArrivedPart[] = []
    let marker: string | undefined
    try {
      do {
        const page = await this.#client.send(
          new ListPartsCommand({
            Bucket: this.#bucket,
            Key: key,
            UploadId: uploadId,
            ...(marker ? { PartNumberMarker: marker } : {}),
          }),
        )
        for (const { PartNumber = 0, Size = 0, ETag = '' } of page.Parts ?? [])
          parts.push({ part: PartNumber, bytes: Size, etag: ETag })
        marker = page.IsTruncated ? page.NextPartNumberMarker : undefined
      } while (marker)
      return parts
    } catch (error) {
      if ((error as Error).name === 'NoSuchUpload') return undefined
      throw error
    }
  }

  /** Throws `conflict` when an object already stands there. */
  async complete(key: string, uploadId: string, parts: ArrivedPart[]): Promise<void> {
    try {
      await this.#client.send(
        new CompleteMultipartUploadCommand({
          Bucket: this.#bucket,
          Key: key,
          UploadId: uploadId,
          IfNoneMatch: '*',
          MultipartUpload: { Parts: parts.map(({ part, etag }) => ({ PartNumber: part, ETag: etag })) },
        }),
      )
    } catch (error) {
      if ((error as Error).name === 'PreconditionFailed')
        throw new OpenLedgerError('conflict', 'This contribution already has its upload.', { cause: error })
      throw error
    }
  }
}
