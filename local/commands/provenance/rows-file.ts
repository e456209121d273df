import { createReadStream } from 'node:fs'
import type { IndexRow } from '../../../functions/attribution/provenance/index.ts'
import { linesOf, parseLine } from './lines.ts'

/** A line of the rows file that cannot be indexed; the message names it. */
export class RowRefused extends Error {}

/** A row with the bytes of its line and the line's number, from 1. */
export interface RowLine {
  row: IndexRow
  line: Buffer
  number: number
}

/** Rows of a JSONL file, one by one. Throws RowRefused naming the first line that is not {"id","text"} in UTF-8. */
export async function* readRows(file: string): AsyncGenerator<RowLine> {
  let number = 0
  for await (const line of linesOf(createReadStream(file, { highWaterMark: 1 << 20 }))) {
    number++
    yield { row: parseRow(line, number), line, number }
  }
}

function parseRow(line: Buffer, number: number): IndexRow {
  const parsed = parseLine(line)
  if ('reason' in parsed) throw new RowRefused(`line ${number}: ${parsed.reason}`)
  const { id, text } = (parsed.value ?? {}) as Partial<IndexRow>
  if (typeof id !== 'string' || typeof text !== 'string')
    throw new RowRefused(`line ${number}: must be an object {"id","text"} of two strings`)
  if (!text.isWellFormed() || !id.isWellFormed()) throw new RowRefused(`line ${number}: holds half of a surrogate pair`)
  return { id, text }
}
