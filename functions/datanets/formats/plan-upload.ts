import { createHash } from 'node:crypto'
import { type Chunk, ChunkPlanner } from './chunk-planner.ts'
import type { Announced, Format } from './detect-format.ts'
import type { Limits } from './limits.ts'
import type { ByteSource } from './parquet-source.ts'
import { type ParquetRange, planParquet } from './plan-parquet.ts'
import { UploadRefused } from './refusals.ts'

export interface UploadPlan {
  format: Format
  bytes: number
  chunks: Chunk[]
}
export interface AnnouncedUpload extends Announced {
  bytes: number
  sha256: string
}

/**
 * One pass over the upload: computes its sha256, finds out its format, and cuts it into chunks at record borders, with a
 * few hundred kilobytes of memory whatever its size. The cuts depend on the bytes alone, not on the pieces they come in.
 * Throws UploadRefused; a wrong checksum is told before anything else.
 */
export const planUpload = async (
  pieces: AsyncIterable<Uint8Array>,
  source: ByteSource,
  announced: AnnouncedUpload,
  limits: Limits,
): Promise<UploadPlan> => {
  const hash = createHash('sha256')
  const planner = new ChunkPlanner(announced, limits)
  let bytes = 0
  let refusal: unknown
  for await (const piece of pieces) {
    hash.update(piece)
    bytes += piece.length
    refusal ??= outcome(() => planner.push(piece))
  }
  if (bytes !== announced.bytes)
    throw new UploadRefused('size-mismatch', `${bytes} bytes came, ${announced.bytes} were announced.`)
  const sha256 = hash.digest('hex')
  if (sha256 !== announced.sha256)
    throw new UploadRefused('checksum-mismatch', `The sha256 is ${sha256}, announced was ${announced.sha256}.`)
  if (refusal) throw refusal
  const { format, chunks } = planner.finish()
  if (format !== 'parquet') return { format, bytes, chunks }
  const { columns, ranges } = await planParquet(source, limits)
  return { format, bytes, chunks: ranges.map((range, index) => parquetChunk(range, index, columns)) }
}

const parquetChunk = ({ rowStart, rowEnd, start, end }: ParquetRange, index: number, columns: string[]): Chunk => ({
  index,
  start,
  end,
  format: 'parquet',
  parquet: { rowStart, rowEnd, columns },
})

const outcome = (step: () => void): unknown => {
  try {
    step()
    return undefined
  } catch (error) {
    return error
  }
}
