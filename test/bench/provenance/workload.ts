import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Chance, chance } from '../../../local/commands/attack-lab/chance.ts'
import { ROW_END } from './corpora.ts'

export const CLASSES = ['novel', 'spliced', 'verbatim'] as const
export type QueryClass = (typeof CLASSES)[number]

const OUTPUT_BYTES = 2_200
const PATTERN_BYTES = 40
/** One row in so many stays out of the index and gives the novel outputs. */
const HELD_OUT = 100

export interface Workload {
  /** Rows to index, each ended by ROW_END. */
  rowsFile: string
  rows: number
  /** Sum of the rows' bytes, without the ends. */
  corpusBytes: number
  /** Query files, by class and `counts`: [length as u32, bytes] each. */
  queries: Record<QueryClass | 'counts', string>
}

/**
 * What every engine gets: outputs of 2,200 bytes that nobody indexed (rows held out of the same sources), that were
 * pasted together from 40 to 160 bytes of random rows, or that stand verbatim in one row; and patterns of 40 bytes, half of
 * them from held-out rows.
 */
export const workload = (text: Buffer, folder: string, seed: number, queries: number): Workload => {
  const luck = chance(seed)
  const rows: Buffer[] = []
  const heldOut: Buffer[] = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf(ROW_END, at)
    const row = text.subarray(at, end)
    ;(luck.below(HELD_OUT) === 0 ? heldOut : rows).push(row)
    at = end + 1
  }
  const long = (all: Buffer[]) => all.filter((row) => row.length >= OUTPUT_BYTES + 8)
  const [longRows, longHeldOut] = [long(rows), long(heldOut)]
  const many = (make: () => Buffer) => Array.from({ length: queries }, make)
  const made = {
    novel: many(() => cut(luck.pick(longHeldOut), OUTPUT_BYTES, luck)),
    spliced: many(() => spliced(rows, luck)),
    verbatim: many(() => cut(luck.pick(longRows), OUTPUT_BYTES, luck)),
    counts: Array.from({ length: queries * 4 }, (_, i) =>
      cut(luck.pick(i % 2 ? longRows : longHeldOut), PATTERN_BYTES, luck),
    ),
  }
  mkdirSync(folder, { recursive: true })
  const rowsFile = join(folder, 'rows')
  const end = Buffer.of(ROW_END)
  writeFileSync(rowsFile, Buffer.concat(rows.flatMap((row) => [row, end])))
  const files = Object.entries(made).map(([name, list]) => {
    const file = join(folder, `${name}.queries`)
    writeFileSync(file, Buffer.concat(list.flatMap((query) => [u32(query.length), query])))
    return [name, file]
  })
  return {
    rowsFile,
    rows: rows.length,
    corpusBytes: rows.reduce((sum, row) => sum + row.length, 0),
    queries: Object.fromEntries(files),
  }
}

export const readQueries = (bytes: Buffer): Buffer[] => {
  const list: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    list.push(bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return list
}

const spliced = (rows: Buffer[], luck: Chance): Buffer => {
  const pieces: Buffer[] = []
  for (let bytes = 0; bytes < OUTPUT_BYTES; ) {
    const row = luck.pick(rows)
    const piece = cut(row, Math.min(row.length, 40 + luck.below(121), OUTPUT_BYTES - bytes), luck)
    pieces.push(piece)
    bytes += piece.length
  }
  return Buffer.concat(pieces)
}

/** About `length` bytes from a random place, whole characters only. */
const cut = (row: Buffer, length: number, luck: Chance): Buffer => {
  const start = luck.below(row.length - length + 1)
  const isInside = (at: number) => at < row.length && (row[at]! & 0xc0) === 0x80
  let from = start
  while (isInside(from)) from++
  let to = start + length
  while (isInside(to)) to++
  return row.subarray(from, to)
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
