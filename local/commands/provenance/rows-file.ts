import { createReadStream } from 'node:fs'

/** A line of the rows file that cannot be indexed; the message names it. */
export class RowRefused extends Error {}

interface Row {
  id: string
  text: string
}

/** Text a shard holds at most: the suffix array of a larger one would not fit small machines. */
const SHARD_BYTES = 64 << 20

/** Rows of a JSONL file: UTF-8, lines end in \n only, ids are unique. Throws RowRefused naming the first bad line. */
export const readRows = async (file: string): Promise<Row[]> => {
  const rows: Row[] = []
  const ids = new Set<string>()
  let number = 0
  let pending: Buffer[] = []
  const take = (bytes: Buffer) => {
    number++
    const row = parseRow(bytes, number)
    if (ids.has(row.id))
      throw new RowRefused(`line ${number}: the id ${JSON.stringify(row.id)} stands on an earlier line`)
    ids.add(row.id)
    rows.push(row)
  }
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      pending.push(chunk.subarray(from, end))
      take(Buffer.concat(pending))
      pending = []
      from = end + 1
    }
    if (from < chunk.length) pending.push(chunk.subarray(from))
  }
  if (pending.length > 0) take(Buffer.concat(pending))
  return rows
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const parseRow = (bytes: Buffer, number: number): Row => {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch (error) {
    throw new RowRefused(`line ${number}: ${error instanceof SyntaxError ? 'not JSON' : 'not UTF-8'}`)
  }
  const { id, text } = (value ?? {}) as Partial<Row>
  if (typeof id !== 'string' || typeof text !== 'string')
    throw new RowRefused(`line ${number}: must be an object {"id","text"} of two strings`)
  if (!text.isWellFormed() || !id.isWellFormed()) throw new RowRefused(`line ${number}: holds half of a surrogate pair`)
  return { id, text }
}

/** Rows in their order, cut into shards of at most 64 MiB of text. */
export const shardsOf = (rows: readonly Row[]): Row[][] => {
  const shards: Row[][] = [[]]
  let bytes = 0
  for (const row of rows) {
    const size = Buffer.byteLength(row.text)
    if (bytes + size > SHARD_BYTES && bytes > 0) {
      shards.push([])
      bytes = 0
    }
    shards.at(-1)!.push(row)
    bytes += size
  }
  return shards
}
