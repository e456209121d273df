import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { BaseModel } from '#schema/models'
import { baseKey } from './base-models.ts'

// Without WHEN_REQUIRED the SDK would sign the CRC32 of an empty body.
const client = new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED' })

/** Presigned PUTs for the files of a base model: size and sha256 are signed, so nothing else can be sent. Valid for an hour. */
export const baseUploads = (
  bucket: string,
  base: BaseModel,
): Promise<{ name: string; url: string; headers: Record<string, string> }[]> =>
  Promise.all(
    base.files.map(async ({ name, bytes, sha256 }) => {
      const checksum = Buffer.from(sha256, 'hex').toString('base64')
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: baseKey(base.id, name),
        ContentLength: bytes,
        ChecksumSHA256: checksum,
      })
      const signed = new Set(['content-length', 'x-amz-checksum-sha256'])
      const url = await getSignedUrl(client, command, {
        expiresIn: 3600,
        signableHeaders: signed,
        unhoistableHeaders: signed,
      })
      return { name, url, headers: { 'x-amz-checksum-sha256': checksum } }
    }),
  )
