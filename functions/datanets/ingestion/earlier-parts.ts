import { normaliseText } from '../clusters/normalise-text.ts'
import { readSignatures } from '../clusters/signature-file.ts'
import type { ByteSource } from '../formats/parquet-source.ts'
import { partKeys } from '../places.ts'
import type { EarlierPart } from './earlier-representatives.ts'

export interface PartReader {
  stream(key: string): AsyncIterable<Uint8Array>
  source(key: string, bytes: number): ByteSource
}

/** Texts of representatives are asked for again and again while one upload copies them: the latest ones are kept. */
const KEPT_TEXTS = 2000

/** The parts of a published version as duplicates are sought in them. */
export const earlierParts = (reader: PartReader, datanetId: string, contributions: string[]): EarlierPart[] =>
  contributions.map((contribution) => {
    const keys = partKeys(datanetId, contribution)
    const rows = reader.source(keys.rows, Number.MAX_SAFE_INTEGER)
    const kept = new Map<string, string>()
    return {
      signatures: () => readSignatures(reader.stream(keys.signatures)),
      text: async ({ id, lineStart, lineBytes }) => {
        const known = kept.get(id)
        if (known !== undefined) return known
        const line = Buffer.from(await rows.slice(lineStart, lineStart + lineBytes)).toString('utf8')
        const row = JSON.parse(line) as { id: string; text: string }
        if (row.id !== id) throw new Error(`${keys.signatures} points at ${row.id} for ${id}`)
        const text = normaliseText(row.text)
        if (kept.size >= KEPT_TEXTS) kept.delete(kept.keys().next().value as string)
        kept.set(id, text)
        return text
      },
    }
  })
