import { createHash } from 'node:crypto'
import { PERMUTATIONS } from '../clusters/minhash.ts'
import { encodeRecord } from '../clusters/signature-file.ts'
import { hex, leafOf, MerkleRoot } from '../versions/merkle-tree.ts'
import { rowLine } from '../versions/row-record.ts'
import type { Clustered } from './cluster-rows.ts'

/** Somewhere bytes are appended: a temporary file in the function, a list in a test. */
export interface Sink {
  append(bytes: Uint8Array): void
}
export interface WrittenPart {
  rows: number
  rejected: number
  rowsSha256: string
  /** Merkle root over the rows' leaves. */
  root: string
  firstSequence: number
  /** Half-open byte ranges of the rows, one a provenance shard, cut where a row ends. */
  ranges: { start: number; end: number }[]
}

/** Writes rows, rejections and signature records (without the file's header) as they are decided, and sums them up. */
export const writePart = async (
  clustered: AsyncIterable<Clustered>,
  signatures: Uint32Array,
  sinks: { rows: Sink; rejected: Sink; signatures: Sink },
  shardBytes: number,
): Promise<WrittenPart> => {
  const hash = createHash('sha256')
  const tree = new MerkleRoot()
  let rows = 0
  let rejected = 0
  let offset = 0
  let firstSequence = 0
  const ranges: WrittenPart['ranges'] = []
  for await (const decided of clustered) {
    if (decided.kind === 'rejected') {
      rejected++
      sinks.rejected.append(Buffer.from(`${JSON.stringify(decided.row)}\n`))
      continue
    }
    const { row, index } = decided
    const line = Buffer.from(`${rowLine(row)}\n`)
    const canonical = line.subarray(0, -1)
    if (rows === 0) firstSequence = row.sequence
    rows++
    tree.add(leafOf(canonical))
    hash.update(line)
    sinks.rows.append(line)
    const signature = signatures.subarray(index * PERMUTATIONS, (index + 1) * PERMUTATIONS)
    sinks.signatures.append(
      encodeRecord({
        id: row.id,
        sequence: row.sequence,
        lineStart: offset,
        lineBytes: canonical.length,
        signature,
      }),
    )
    const shard = ranges.at(-1)
    if (shard && offset + line.length - shard.start <= shardBytes) shard.end += line.length
    else ranges.push({ start: offset, end: offset + line.length })
    offset += line.length
  }
  return { rows, rejected, rowsSha256: hash.digest('hex'), root: hex(tree.root()), firstSequence, ranges }
}
