import * as z from 'zod'
import { type BorderFinder, csvBorders, lineBorders, proseBorders } from './chunk-borders.ts'
import { type Announced, detectFormat, type Format } from './detect-format.ts'
import type { Limits } from './limits.ts'
import { UploadRefused } from './refusals.ts'
import { type CsvHeader, csvHeader } from './split-csv.ts'
import { isSpace } from './white-space.ts'

/** What one worker splits: bytes [start, end) of the upload, which hold whole records. An item of the Distributed Map. */
export const Chunk = z.object({
  index: z.number().int().min(0),
  start: z.number().int().min(0),
  end: z.number().int().min(0),
  format: z.enum(['jsonl', 'csv', 'markdown', 'text', 'parquet']),
  csv: z
    .object({ delimiter: z.string().length(1), width: z.number().int(), columns: z.record(z.string(), z.number()) })
    .optional(),
  parquet: z.object({ rowStart: z.number().int(), rowEnd: z.number().int(), columns: z.array(z.string()) }).optional(),
})
export type Chunk = z.output<typeof Chunk>

const HEAD_BYTES = 64 * 1024

/** Finds the format in the first bytes pushed, then the chunks; remembers no more than the first 64 KiB. */
export class ChunkPlanner {
  private readonly announced: Announced
  private readonly limits: Limits
  private head: Uint8Array | undefined = new Uint8Array(0)
  private format: Format = 'text'
  private finder: BorderFinder | undefined
  private csv: CsvHeader | undefined
  private readonly chunks: Chunk[] = []
  private offset = 0
  private chunkStart = 0
  private border = 0
  private blank = true

  constructor(announced: Announced, limits: Limits) {
    this.announced = announced
    this.limits = limits
  }

  push(piece: Uint8Array): void {
    this.blank &&= piece.every(isSpace)
    if (this.head) {
      this.head = Buffer.concat([this.head, piece])
      if (this.head.length >= HEAD_BYTES) this.open()
    } else this.scan(piece)
  }

  finish(): { format: Format; chunks: Chunk[] } {
    if (this.blank) throw new UploadRefused('empty-file')
    if (this.head) this.open()
    if (this.format !== 'parquet' && this.offset > this.chunkStart) this.cut(this.offset)
    return { format: this.format, chunks: this.chunks }
  }

  /** The head is complete: decides the format and starts to look for borders. */
  private open(): void {
    const head = this.head as Uint8Array
    this.head = undefined
    if (head.every(isSpace)) throw new UploadRefused('empty-file', 'The first 64 KiB are white space.')
    const { format, bom } = detectFormat(head.subarray(0, HEAD_BYTES), this.announced)
    this.format = format
    this.offset = this.chunkStart = this.border = bom
    const body = format === 'csv' ? this.readHeader(head.subarray(bom)) : head.subarray(bom)
    if (format === 'jsonl') this.finder = lineBorders()
    if (format === 'text' || format === 'markdown') this.finder = proseBorders(format === 'markdown')
    this.scan(body)
  }

  /** Takes the header off a CSV and returns what follows it. */
  private readHeader(body: Uint8Array): Uint8Array {
    const delimiter = delimiterOf(body)
    const ends: number[] = []
    csvBorders(delimiter)(body.subarray(0, HEAD_BYTES), 0, (at) => ends.length === 0 && ends.push(at))
    const end = ends[0] ?? body.length
    if (end > HEAD_BYTES) throw new UploadRefused('too-many-columns', 'The header is longer than 64 KiB.')
    const record = body.subarray(0, body[end - 1] === 0x0a ? end - 1 : end)
    this.csv = csvHeader(record, delimiter, this.limits)
    this.finder = csvBorders(delimiter)
    this.offset += end
    this.chunkStart = this.border = this.offset
    return body.subarray(end)
  }

  private scan(piece: Uint8Array): void {
    this.finder?.(piece, this.offset, (at) => this.pass(at))
    this.offset += piece.length
    if (this.finder) this.checkUnbroken(this.offset)
  }

  private pass(at: number): void {
    this.checkUnbroken(at)
    this.border = at
    if (at - this.chunkStart >= this.limits.chunkBytes) this.cut(at)
  }

  private checkUnbroken(at: number): void {
    if (at - this.border <= this.limits.maxUnbrokenBytes) return
    throw new UploadRefused(
      this.format === 'jsonl' ? 'json-bomb' : 'unbroken-record',
      `No record ends between bytes ${this.border} and ${at}.`,
    )
  }

  private cut(end: number): void {
    const { chunkStart: start, format, csv } = this
    this.chunks.push({ index: this.chunks.length, start, end, format, ...(csv ? { csv } : {}) })
    this.chunkStart = end
  }
}

/** The delimiter that occurs most in the header line: a comma, a tab or a semicolon. */
const delimiterOf = (body: Uint8Array): string => {
  const newline = body.indexOf(0x0a)
  const line = Buffer.from(newline < 0 ? body : body.subarray(0, newline)).toString('latin1')
  const count = (delimiter: string) => line.split(delimiter).length
  return [',', '\t', ';'].reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best))
}
