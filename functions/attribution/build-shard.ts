import { Row } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import { buildFilter, buildIndex } from './provenance/index.ts'
import { encodeRowTable } from './row-table.ts'

export interface BuiltShard {
  index: Uint8Array
  filter: Uint8Array
  table: Uint8Array
  rows: number
}

/** Lines of rows.jsonl -> one provenance shard: index, router filter (`shard`: its key), row table. Erased rows are empty lines. */
export const buildShard = (lines: Uint8Array, shard: string): BuiltShard => {
  const table: { id: string; sequence: number }[] = []
  function* rows() {
    for (const line of linesOf(lines)) {
      const { id, text, cluster, sequence } = Row.parse(JSON.parse(line))
      if (cluster !== id) throw new OpenLedgerError('conflict', `${id} is no representative of its cluster.`)
      table.push({ id, sequence })
      yield { id, text }
    }
  }
  const index = buildIndex(rows())
  const filter = buildFilter(
    (function* () {
      for (const line of linesOf(lines)) yield (JSON.parse(line) as { text: string }).text
    })(),
    { shard },
  )
  return { index, filter, table: encodeRowTable(table), rows: table.length }
}

/** One line at a time, so that only the bytes and one row are held beside the index. */
function* linesOf(bytes: Uint8Array): Generator<string> {
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < lines.length; ) {
    const found = lines.indexOf(10, at)
    const end = found < 0 ? lines.length : found
    if (end > at) yield lines.toString('utf8', at, end)
    at = end + 1
  }
}
