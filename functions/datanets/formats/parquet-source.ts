import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { Compressors } from 'hyparquet'
import { snappyUncompress } from 'hyparquet'
import { UploadRefused } from './refusals.ts'

/** Random access to the upload: `slice` reads [start, end). */
export interface ByteSource {
  byteLength: number
  slice(start: number, end?: number): Promise<ArrayBuffer>
}

/**
 * Codecs of Parquet pages, none of which gives more than the page header announced, and no page more than `most` bytes:
 * a bomb ends here. LZ4 and LZO are not read.
 */
export const boundedCodecs = (most: number): Compressors => {
  const bounded =
    (codec: (input: Uint8Array, length: number) => Uint8Array) =>
    (input: Uint8Array, length: number): Uint8Array => {
      if (length > most) throw new UploadRefused('parquet-bomb', `A page announces ${length} bytes.`)
      return codec(input, length)
    }
  return {
    SNAPPY: bounded((input, length) => {
      const output = new Uint8Array(length)
      snappyUncompress(input, output)
      return output
    }),
    GZIP: bounded((input, length) => gunzipSync(input, { maxOutputLength: length })),
    BROTLI: bounded((input, length) => brotliDecompressSync(input, { maxOutputLength: length })),
    ZSTD: bounded((input, length) => zstdDecompressSync(input, { maxOutputLength: length })),
  }
}
export const READABLE_CODECS = ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI', 'ZSTD']
