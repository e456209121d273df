import type { RejectedRow, Row } from '#schema/datanets'
import { type EarlierCandidate, findRepresentatives } from '../clusters/find-representatives.ts'
import { normaliseText } from '../clusters/normalise-text.ts'
import { type RowOrigin, rowId, rowRecord } from '../versions/row-record.ts'
import type { Candidate } from './split-upload.ts'

/** The upload after splitting: candidates by index, in file order, with row numbers that count through the upload. */
export interface Candidates {
  count: number
  signatures: Uint32Array
  candidate(index: number): Candidate
  earlier(index: number): EarlierCandidate[]
}

export type Clustered = { kind: 'row'; row: Row; index: number } | { kind: 'rejected'; row: RejectedRow }

/**
 * Decides for each candidate whether it is a representative (its record) or a duplicate (a rejection whose detail is
 * the representative's row id), and merges in the rows that were refused before, all in file order.
 */
export async function* clusterRows(
  candidates: Candidates,
  refused: AsyncIterable<RejectedRow>,
  origin: Pick<RowOrigin, 'contribution' | 'contributor' | 'ticket'>,
): AsyncGenerator<Clustered> {
  const waiting = refused[Symbol.asyncIterator]()
  let next = await waiting.next()
  const idOf = (index: number) => {
    const { row, content } = candidates.candidate(index)
    return rowId(origin.contribution, row, content.text)
  }
  let index = 0
  for await (const verdict of findRepresentatives({
    count: candidates.count,
    signatures: candidates.signatures,
    text: (row) => normaliseText(candidates.candidate(row).content.text),
    earlier: (row) => candidates.earlier(row),
  })) {
    const { content, row, start, end } = candidates.candidate(index)
    for (; !next.done && next.value.row < row; next = await waiting.next()) yield { kind: 'rejected', row: next.value }
    if (verdict.code === 'representative')
      yield { kind: 'row', row: rowRecord({ ...origin, row, start, end }, content), index }
    else {
      const detail = 'id' in verdict.of ? verdict.of.id : idOf(verdict.of.row)
      yield { kind: 'rejected', row: { row, start, end, code: verdict.code, detail } }
    }
    index++
  }
  for (; !next.done; next = await waiting.next()) yield { kind: 'rejected', row: next.value }
}
