import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Row } from '#schema/datanets'
import type { RowContent } from '../formats/split-row.ts'

/** Rows of one contribution share a block of 2^24 sequence numbers, so that order is by contribution, then by row. */
const SEQUENCE_BLOCK = 2 ** 24

/** Registry order of a row: the place of its contribution in the registry, then its number in the upload. */
export const sequenceOf = (ticket: number, row: number): number => ticket * SEQUENCE_BLOCK + row

/** A row's id: "row_" and the first 24 hex of sha256 over contribution, row number and text. The same upload, the same ids. */
export const rowId = (contribution: string, row: number, text: string): string =>
  `row_${createHash('sha256').update(`${contribution}\n${row}\n${text}`).digest('hex').slice(0, 24)}`

export interface RowOrigin {
  contribution: string
  contributor: string
  /** Number of the record in the whole upload. */
  row: number
  ticket: number
  start: number
  end: number
}

/** A representative as it stands in rows.jsonl; its cluster is itself. */
export const rowRecord = (origin: RowOrigin, content: RowContent): Row => {
  const id = rowId(origin.contribution, origin.row, content.text)
  return {
    id,
    cluster: id,
    contribution: origin.contribution,
    contributor: origin.contributor,
    start: origin.start,
    end: origin.end,
    sequence: sequenceOf(origin.ticket, origin.row),
    ...content,
  }
}

/** RFC 8785 JSON of a row: its line in rows.jsonl (without the newline) and the bytes of its Merkle leaf. */
export const rowLine = (row: Row): string => canonicalize(row) as string
