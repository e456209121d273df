import { CsvScanner } from './csv-records.ts'
import { ProseLines } from './prose-lines.ts'

/** Finds the places where an upload may be cut without cutting a row, in bytes that come in pieces of any size. */
export type BorderFinder = (piece: Uint8Array, offset: number, onBorder: (at: number) => void) => void

/** JSON lines: after each \n. */
export const lineBorders = (): BorderFinder => (piece, offset, onBorder) => {
  for (let at = piece.indexOf(0x0a); at >= 0; at = piece.indexOf(0x0a, at + 1)) onBorder(offset + at + 1)
}

/** CSV: after each record, never inside quotes. */
export const csvBorders = (delimiter: string): BorderFinder => {
  const scanner = new CsvScanner(delimiter.charCodeAt(0))
  return (piece, offset, onBorder) => scanner.push(piece, (next) => onBorder(offset + next))
}

/** A text that offers no blank line for so many bytes is cut at a line, then at a space, then anywhere. */
const PATIENCE = { line: 256 * 1024, space: 512 * 1024, character: 1024 * 1024 }

/** Prose: after a blank line outside a code fence; in a text without any, at the best border there is. */
export const proseBorders = (markdown: boolean): BorderFinder => {
  const lines = new ProseLines(markdown)
  /** The current line's first bytes: enough to see a fence, a heading, or that it is not blank. */
  let line: number[] = []
  let last = 0
  return (piece, offset, onBorder) => {
    const border = (at: number) => {
      last = at
      onBorder(at)
    }
    for (let index = 0; index < piece.length; index++) {
      const byte = piece[index] as number
      const next = offset + index + 1
      const waited = next - last
      if (line.length < 256) line.push(byte)
      if (byte === 0x0a) {
        const kind = lines.read(Uint8Array.from(line))
        line = []
        if (waited > PATIENCE.line) lines.leaveFence()
        if (kind === 'blank' || waited > PATIENCE.line) border(next)
      } else if (waited > PATIENCE.space && byte === 0x20) border(next)
      else if (waited > PATIENCE.character && (byte & 0xc0) !== 0x80) border(next - 1)
    }
  }
}
