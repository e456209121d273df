import { signatureOf } from '../clusters/minhash.ts'
import { normaliseText } from '../clusters/normalise-text.ts'
import type { Chunk } from '../formats/chunk-planner.ts'
import type { Limits } from '../formats/limits.ts'
import type { ByteSource } from '../formats/parquet-source.ts'
import { UploadRefused } from '../formats/refusals.ts'
import { splitChunk } from '../formats/split-chunk.ts'
import type { RowContent } from '../formats/split-row.ts'
import type { ChunkSummary } from './flow.ts'

/** A row that passed the checks of its own text; `row` counts within the chunk. */
export interface Candidate {
  row: number
  start: number
  end: number
  content: RowContent
}

export interface SplitResult {
  summary: ChunkSummary
  candidates: Uint8Array
  rejected: Uint8Array
  signatures: Uint8Array
}

/**
 * Splits and checks one chunk, and computes the MinHash signatures of what passes, so that the serial committer does not
 * have to. A chunk that cannot be read refuses the upload; the refusal stands in the summary.
 */
export const splitUpload = async (chunk: Chunk, source: ByteSource, limits: Limits): Promise<SplitResult> => {
  const candidates: string[] = []
  const rejected: string[] = []
  const signatures: Uint32Array[] = []
  let refusal: ChunkSummary['refusal']
  try {
    for await (const record of splitChunk(chunk, source, limits))
      if ('content' in record) {
        const { row, start, end, content } = record
        candidates.push(JSON.stringify({ row, start, end, content } satisfies Candidate))
        signatures.push(signatureOf(normaliseText(content.text)))
      } else rejected.push(JSON.stringify(record))
  } catch (error) {
    if (!(error instanceof UploadRefused)) throw error
    refusal = { code: error.code, detail: error.message }
  }
  return {
    summary: {
      index: chunk.index,
      records: candidates.length + rejected.length,
      candidates: candidates.length,
      rejected: rejected.length,
      ...(refusal ? { refusal } : {}),
    },
    candidates: lines(candidates),
    rejected: lines(rejected),
    signatures: Buffer.concat(signatures.map(littleEndian)),
  }
}

const lines = (items: string[]): Uint8Array => Buffer.from(items.map((item) => `${item}\n`).join(''))

const littleEndian = (signature: Uint32Array): Buffer => {
  const bytes = Buffer.alloc(signature.length * 4)
  signature.forEach((value, index) => {
    bytes.writeUInt32LE(value, index * 4)
  })
  return bytes
}
