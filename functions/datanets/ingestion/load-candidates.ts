import type { RejectedRow } from '#schema/datanets'
import { PERMUTATIONS } from '../clusters/minhash.ts'
import { workKeys } from '../places.ts'
import type { ChunkSummary, Upload } from './flow.ts'
import type { Candidate } from './split-upload.ts'

export interface Shelf {
  append(bytes: Uint8Array): void
  read(start: number, bytes: number): Uint8Array
}
export interface LoadedCandidates {
  count: number
  signatures: Uint32Array
  candidate(index: number): Candidate
  rejected(): AsyncIterable<RejectedRow>
}

/**
 * Brings the chunks' results together: signatures into one flat array, candidates' lines onto a shelf (a temporary
 * file), read one at a time. Row numbers, which count within a chunk there, count through the whole upload here.
 */
export const loadCandidates = async (
  upload: Upload,
  summaries: ChunkSummary[],
  read: (key: string) => Promise<Uint8Array>,
  shelf: Shelf,
): Promise<LoadedCandidates> => {
  const keys = workKeys(upload.datanetId, upload.contributionId)
  const count = summaries.reduce((sum, { candidates }) => sum + candidates, 0)
  const signatures = new Uint32Array(count * PERMUTATIONS)
  const places = new Float64Array(count)
  const lengths = new Uint32Array(count)
  const bases = new Uint32Array(count)
  let at = 0
  let offset = 0
  let base = 0
  for (const summary of summaries) {
    const lines = await read(keys.candidates(summary.index))
    const view = Buffer.from(await read(keys.signatures(summary.index)))
    for (let value = 0; value < summary.candidates * PERMUTATIONS; value++)
      signatures[at * PERMUTATIONS + value] = view.readUInt32LE(value * 4)
    shelf.append(lines)
    for (let start = 0; start < lines.length; at++) {
      const end = lines.indexOf(0x0a, start)
      places[at] = offset + start
      lengths[at] = end - start
      bases[at] = base
      start = end + 1
    }
    offset += lines.length
    base += summary.records
  }
  if (at !== count) throw new Error(`${at} candidates were written, ${count} announced`)
  const candidate = (index: number): Candidate => {
    const line = shelf.read(places[index] as number, lengths[index] as number)
    const found = JSON.parse(Buffer.from(line).toString('utf8')) as Candidate
    return { ...found, row: found.row + (bases[index] as number) }
  }
  return { count, signatures, candidate, rejected: () => rejectedRows(keys, summaries, read) }
}

async function* rejectedRows(
  keys: ReturnType<typeof workKeys>,
  summaries: ChunkSummary[],
  read: (key: string) => Promise<Uint8Array>,
): AsyncGenerator<RejectedRow> {
  let base = 0
  for (const summary of summaries) {
    if (summary.rejected > 0)
      for (const line of Buffer.from(await read(keys.rejected(summary.index)))
        .toString('utf8')
        .split('\n')
        .slice(0, -1)) {
        const row = JSON.parse(line) as RejectedRow
        yield { ...row, row: row.row + base }
      }
    base += summary.records
  }
}
