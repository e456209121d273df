import { encodeHeader, encodeRecord, readSignatures } from '../clusters/signature-file.ts'
import type { Spool } from '../row-spool.store.ts'

/** Ids of the rows that are taken back; null: all of the contribution. */
export type Dead = ReadonlySet<string> | null
interface Stored {
  rows: AsyncIterable<Uint8Array>
  signatures: AsyncIterable<Uint8Array>
}

const NEWLINE = 10
const idOf = (line: Buffer): string => (JSON.parse(line.toString()) as { id: string }).id

/**
 * Rows and signatures of a part without the dead rows. In rows.jsonl every byte of a dead row becomes a newline: all
 * other rows stay at their offsets (signature records and shards point there), and readers pass empty lines by. Rows are
 * found by their own ids: another erasure may have taken their signatures and lost its rows to a later writer. Returns
 * how many rows were erased; none if the dead are gone already, or were never here.
 */
export const eraseRows = async (
  stored: Stored,
  dead: Dead,
  sinks: { rows: Spool; signatures: Spool },
): Promise<number> => {
  let kept = 0
  sinks.signatures.append(encodeHeader(0))
  for await (const record of readSignatures(stored.signatures)) {
    if (dead === null || dead.has(record.id)) continue
    kept++
    sinks.signatures.append(encodeRecord(record))
  }
  sinks.signatures.patch(0, encodeHeader(kept))
  let erased = 0
  let begun = Buffer.alloc(0)
  for await (const piece of stored.rows) {
    const bytes = Buffer.concat([begun, piece])
    let from = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      if (end > from && (dead === null || dead.has(idOf(bytes.subarray(from, end))))) {
        bytes.fill(NEWLINE, from, end)
        erased++
      }
      from = end + 1
    }
    sinks.rows.append(bytes.subarray(0, from))
    begun = bytes.subarray(from)
  }
  if (begun.length > 0) throw new Error('the rows end inside a line')
  sinks.rows.flush()
  sinks.signatures.flush()
  return erased
}
