import { encodeHeader, encodeRecord, readSignatures } from '../clusters/signature-file.ts'
import type { Spool } from '../row-spool.store.ts'

/** Ids of the rows that are taken back; null: all of the contribution. */
export type Dead = ReadonlySet<string> | null
interface Range {
  start: number
  end: number
}
interface Stored {
  rows: AsyncIterable<Uint8Array>
  signatures: AsyncIterable<Uint8Array>
}

const NEWLINE = 10
const isDead = (dead: Dead, id: string): boolean => dead === null || dead.has(id)

/**
 * Rows and signatures of a part without the dead rows. In rows.jsonl every byte of a dead row becomes a newline: all
 * other rows stay at their offsets (signature records and shards point there), and readers pass empty lines by. Returns
 * how many rows were erased; none if the dead are gone already, or were never here.
 */
export const eraseRows = async (
  stored: Stored,
  dead: Dead,
  sinks: { rows: Spool; signatures: Spool },
): Promise<number> => {
  const erased: Range[] = []
  let kept = 0
  sinks.signatures.append(encodeHeader(0))
  for await (const record of readSignatures(stored.signatures))
    if (isDead(dead, record.id)) erased.push({ start: record.lineStart, end: record.lineStart + record.lineBytes })
    else {
      kept++
      sinks.signatures.append(encodeRecord(record))
    }
  sinks.signatures.patch(0, encodeHeader(kept))
  let at = 0
  let next = 0
  for await (const piece of stored.rows) {
    const bytes = Buffer.from(piece)
    const end = at + bytes.length
    for (; next < erased.length && erased[next]!.start < end; next++) {
      const range = erased[next]!
      bytes.fill(NEWLINE, Math.max(0, range.start - at), Math.min(bytes.length, range.end - at))
      if (range.end > end) break
    }
    sinks.rows.append(bytes)
    at = end
  }
  sinks.rows.flush()
  sinks.signatures.flush()
  return erased.length
}
