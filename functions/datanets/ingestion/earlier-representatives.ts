import { BandIndex } from '../clusters/band-index.ts'
import { type EarlierCandidate, LEAST_EQUAL, MOST_COMPARED, mostAlike } from '../clusters/find-representatives.ts'
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
        const equal = equalValues(signature, 0, signatures, row)
        if (equal < LEAST_EQUAL) continue
        const candidates = found.get(row) ?? []
        candidates.push({ id: place.id, sequence: place.sequence, equal, text: () => part.text(place) })
        found.set(row, candidates.length < MOST_COMPARED * 2 ? candidates : mostAlike(candidates))
      }
  for (const candidates of found.values()) candidates.sort((a, b) => a.sequence - b.sequence)
  return (row) => mostAlike(found.get(row) ?? [])
}
