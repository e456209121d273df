import { createHash } from 'node:crypto'
import type { Chunk } from '../../../functions/datanets/formats/chunk-planner.ts'
import { LIMITS, type Limits } from '../../../functions/datanets/formats/limits.ts'
import type { ByteSource } from '../../../functions/datanets/formats/parquet-source.ts'
import { planUpload, type UploadPlan } from '../../../functions/datanets/formats/plan-upload.ts'
import { splitChunk } from '../../../functions/datanets/formats/split-chunk.ts'
import type { SplitRow } from '../../../functions/datanets/formats/split-row.ts'

/** An upload in memory, handed on in pieces as a network would. */
export const sourceOf = (bytes: Uint8Array): ByteSource => ({
  byteLength: bytes.length,
  slice: async (start, end = bytes.length) => Uint8Array.from(bytes.subarray(start, end)).buffer,
})

export async function* piecesOf(bytes: Uint8Array, size = 4096): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export const plan = (
  bytes: Uint8Array,
  filename: string,
  {
    limits = LIMITS,
    contentType = 'application/octet-stream',
    piece = 4096,
  }: {
    limits?: Limits
    contentType?: string
    piece?: number
  } = {},
): Promise<UploadPlan> =>
  planUpload(
    piecesOf(bytes, piece),
    sourceOf(bytes),
    { filename, contentType, bytes: bytes.length, sha256: sha256(bytes) },
    limits,
  )

/** All records of an upload, with row numbers that count through it. */
export const split = async (
  content: Uint8Array | string,
  filename: string,
  options: { limits?: Limits; contentType?: string; piece?: number } = {},
): Promise<{ chunks: Chunk[]; rows: SplitRow[] }> => {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const { chunks } = await plan(bytes, filename, options)
  const rows: SplitRow[] = []
  for (const chunk of chunks) {
    const base = rows.length
    for await (const row of splitChunk(chunk, sourceOf(bytes), options.limits ?? LIMITS))
      rows.push({ ...row, row: row.row + base })
  }
  return { chunks, rows }
}

export const texts = (rows: SplitRow[]): string[] => rows.flatMap((row) => ('content' in row ? [row.content.text] : []))
export const codes = (rows: SplitRow[]): string[] => rows.flatMap((row) => ('code' in row ? [row.code] : []))
