import { BandIndex } from '../clusters/band-index.ts'
import { type EarlierCandidate, LEAST_EQUAL } from '../clusters/find-representatives.ts'
import { equalValues } from '../clusters/minhash.ts'
import type { SignatureRecord } from '../clusters/signature-file.ts'

/** An earlier part's representatives: their signatures as a stream, their rows' lines on demand. */
export interface EarlierPart {
  signatures(): AsyncIterable<SignatureRecord>
  /** Normalised text of a row. */
  text(record: Pick<SignatureRecord, 'id' | 'lineStart' | 'lineBytes'>): Promise<string>
}

/**
 * For every new row, the earlier representatives that may be near it, earliest first. The index is over the new rows
 * and the old ones stream past it: memory follows the upload, not the Datanet.
 */
export const earlierCandidates = async (
  signatures: Uint32Array,
  rows: number,
  parts: EarlierPart[],
): Promise<(row: number) => EarlierCandidate[]> => {
  const found = new Map<number, EarlierCandidate[]>()
  if (parts.length === 0) return () => []
  const index = new BandIndex(signatures, rows)
  for (let row = 0; row < rows; row++) index.add(row)
  for (const part of parts)
    for await (const { signature, ...place } of part.signatures())
      for (const row of index.candidates(signature, 0)) {
        if (equalValues(signature, 0, signatures, row) < LEAST_EQUAL) continue
        const candidate = { id: place.id, sequence: place.sequence, text: () => part.text(place) }
        found.set(row, [...(found.get(row) ?? []), candidate])
      }
  for (const candidates of found.values()) candidates.sort((a, b) => a.sequence - b.sequence)
  return (row) => found.get(row) ?? []
}
