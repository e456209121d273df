/**
 * RFC 4180, read leniently where files in the wild differ: a field is quoted only if a quote is its first character;
 * a quote inside an unquoted field is text; records end in \n or \r\n.
 */
const QUOTE = 0x22
const NEWLINE = 0x0a
const RETURN = 0x0d

/** 0 at the start of a field, 1 in an unquoted one, 2 in a quoted one, 3 after a quote in a quoted one. */
type State = 0 | 1 | 2 | 3

/** Finds record ends in bytes that come in pieces. */
export class CsvScanner {
  private readonly delimiter: number
  private state: State = 0
  constructor(delimiter: number) {
    this.delimiter = delimiter
  }

  /** Calls `onRecord` with the index after the newline of each record that ends in this piece. */
  push(piece: Uint8Array, onRecord: (next: number) => void): void {
    for (let at = 0; at < piece.length; at++) {
      const byte = piece[at] as number
      if (this.state === 2) {
        if (byte === QUOTE) this.state = 3
      } else if (byte === NEWLINE) {
        this.state = 0
        onRecord(at + 1)
      } else if (byte === this.delimiter) this.state = 0
      else if (byte === QUOTE && this.state !== 1) this.state = 2
      else if (!(this.state === 3 && byte === RETURN)) this.state = 1
    }
  }
}

/** The fields of one record without its newline; undefined where the quoting is broken. The text must be UTF-8 already. */
export const csvFields = (record: string, delimiter: string): string[] | undefined => {
  const fields: string[] = []
  const text = record.endsWith('\r') ? record.slice(0, -1) : record
  for (let at = 0; ; ) {
    if (text[at] === '"') {
      const quoted = quotedField(text, at)
      if (!quoted) return undefined
      fields.push(quoted.value)
      at = quoted.next
    } else {
      const next = text.indexOf(delimiter, at)
      const end = next < 0 ? text.length : next
      fields.push(text.slice(at, end))
      at = end
    }
    if (at >= text.length) return fields
    if (text[at] !== delimiter) return undefined
    at++
  }
}

const quotedField = (text: string, start: number): { value: string; next: number } | undefined => {
  let value = ''
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at)
    if (quote < 0) return undefined
    value += text.slice(at, quote)
    if (text[quote + 1] !== '"') return { value, next: quote + 1 }
    value += '"'
    at = quote + 2
  }
}
