import { BandIndex } from './band-index.ts'
import { gramsOf, isNear } from './grams.ts'
import { equalValues, PERMUTATIONS } from './minhash.ts'

/** A representative of an earlier contribution that shares a band with a new row. */
export interface EarlierCandidate {
  /** Registry sequence: smaller is earlier. */
  sequence: number
  id: string
  /** Equal values of the two signatures. */
  equal: number
  /** Normalised text, read only when it is needed. */
  text(): Promise<string>
}

export interface NewRows {
  count: number
  /** Flat, 128 values a row. */
  signatures: Uint32Array
  /** Normalised text of a row. */
  text(row: number): string | Promise<string>
  /** Candidates among earlier representatives, ascending by sequence. */
  earlier(row: number): EarlierCandidate[]
}

/** What becomes of a new row: it represents itself, or it belongs to an earlier representative. */
export type Verdict =
  | { code: 'representative' }
  | { code: 'exact-duplicate' | 'near-duplicate'; of: { row: number } | { id: string } }

/**
 * Fewer equal values than this and a pair is not compared in full: five standard errors below 0.8, passed over wrongly
 * for one near-duplicate in three million.
 */
export const LEAST_EQUAL = Math.floor(PERMUTATIONS * (0.8 - 5 * Math.sqrt((0.8 * 0.2) / PERMUTATIONS)))

/** Texts that one row is compared with in full: the most alike by signature, should there ever be more. */
export const MOST_COMPARED = 128

/** At most MOST_COMPARED of the candidates, in the order given. */
export const mostAlike = <Candidate extends { equal: number }>(candidates: Candidate[]): Candidate[] => {
  if (candidates.length <= MOST_COMPARED) return candidates
  const kept = new Set([...candidates].sort((a, b) => b.equal - a.equal).slice(0, MOST_COMPARED))
  return candidates.filter((candidate) => kept.has(candidate))
}

/**
 * Evidence clusters (attribution.md C). Rows are taken in registry order; each joins the earliest representative that
 * it equals or whose 5-grams it shares to 0.8 (exact Jaccard; MinHash only proposes), else it becomes one itself. A
 * duplicate never stands for anything: rows that resemble two clusters do not join them, so that nobody's cluster can
 * be swallowed by a bridge.
 */
export async function* findRepresentatives(rows: NewRows): AsyncGenerator<Verdict> {
  const index = new BandIndex(rows.signatures, rows.count)
  for (let row = 0; row < rows.count; row++) {
    const verdict = await verdictOn(row, rows, index)
    if (verdict.code === 'representative') index.add(row)
    yield verdict
  }
}

const verdictOn = async (row: number, rows: NewRows, index: BandIndex): Promise<Verdict> => {
  const earlier = rows.earlier(row)
  const own = mostAlike(
    index
      .candidates(rows.signatures, row)
      .map((other) => ({ other, equal: equalValues(rows.signatures, row, rows.signatures, other) }))
      .filter(({ equal }) => equal >= LEAST_EQUAL),
  )
  if (earlier.length === 0 && own.length === 0) return { code: 'representative' }
  const text = await rows.text(row)
  const grams = gramsOf(text)
  const compare = (other: string) =>
    other === text ? 'exact-duplicate' : isNear(grams, gramsOf(other)) ? 'near-duplicate' : undefined
  for (const candidate of earlier) {
    const code = compare(await candidate.text())
    if (code) return { code, of: { id: candidate.id } }
  }
  for (const { other } of own) {
    const code = compare(await rows.text(other))
    if (code) return { code, of: { row: other } }
  }
  return { code: 'representative' }
}
