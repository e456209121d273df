import { decodeUtf8 } from './check-text.ts'
import { UploadRefused } from './refusals.ts'

export type Format = 'jsonl' | 'csv' | 'markdown' | 'text' | 'parquet'
export interface Announced {
  filename: string
  contentType: string
}
export interface Detected {
  format: Format
  /** Bytes of a byte order mark, to be skipped. */
  bom: number
}

const EXTENSIONS: Record<string, Format> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'jsonl',
  csv: 'csv',
  tsv: 'csv',
  md: 'markdown',
  markdown: 'markdown',
  txt: 'text',
  text: 'text',
  parquet: 'parquet',
}
const CONTENT_TYPES: Record<string, Format> = {
  'application/jsonl': 'jsonl',
  'application/x-ndjson': 'jsonl',
  'application/x-jsonlines': 'jsonl',
  'application/json': 'jsonl',
  'text/csv': 'csv',
  'text/tab-separated-values': 'csv',
  'text/markdown': 'markdown',
  'text/plain': 'text',
  'application/vnd.apache.parquet': 'parquet',
  'application/x-parquet': 'parquet',
}

/** First bytes of containers that would have to be unpacked: refused unopened, so no bomb is ever lit. */
const ARCHIVES: [string, number[]][] = [
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  ['zip', [0x50, 0x4b, 0x05, 0x06]],
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['7z', [0x37, 0x7a, 0xbc, 0xaf]],
  ['rar', [0x52, 0x61, 0x72, 0x21]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
]
const startsWith = (bytes: Uint8Array, magic: number[], at = 0): boolean =>
  magic.every((byte, index) => bytes[at + index] === byte)
const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')]

/**
 * The format of an upload from its first bytes (64 KiB are enough), with the file name and the content type as hints
 * between texts. What the bytes are decides; a hint never makes binary bytes a text. Throws UploadRefused.
 */
export const detectFormat = (head: Uint8Array, announced: Announced): Detected => {
  const hint = hintOf(announced)
  if (startsWith(head, ascii('PAR1'))) {
    if (hint !== undefined && hint !== 'parquet')
      throw new UploadRefused('type-mismatch', `The bytes are Parquet and the name or type says ${hint}.`)
    return { format: 'parquet', bom: 0 }
  }
  const archive = ARCHIVES.find(([, magic]) => startsWith(head, magic))?.[0]
  if (archive ?? startsWith(head, ascii('ustar'), 257))
    throw new UploadRefused('archive-refused', `This is ${archive ?? 'tar'}: upload the file itself, unpacked.`)
  if (startsWith(head, [0xff, 0xfe]) || startsWith(head, [0xfe, 0xff]))
    throw new UploadRefused('unsupported-encoding', 'This is UTF-16 or UTF-32: save it as UTF-8.')
  if (hint === 'parquet')
    throw new UploadRefused('type-mismatch', 'The name or type says Parquet and the bytes are not.')
  if (startsWith(head, ascii('%PDF')) || isBinary(head)) throw new UploadRefused('unsupported-format')
  const bom = startsWith(head, [0xef, 0xbb, 0xbf]) ? 3 : 0
  return { format: textFormat(head.subarray(bom), hint), bom }
}

const hintOf = ({ filename, contentType }: Announced): Format | undefined =>
  EXTENSIONS[filename.toLowerCase().split('.').slice(1).at(-1) ?? ''] ??
  CONTENT_TYPES[contentType.toLowerCase().split(';')[0]?.trim() ?? '']

/** More than one byte in a hundred is a control character: no text of any kind. Single NULs are refused row by row. */
const isBinary = (head: Uint8Array): boolean => {
  let controls = 0
  for (const byte of head) if (byte < 0x09 || (byte > 0x0d && byte < 0x20) || byte === 0x7f) controls++
  return controls * 100 > head.length
}

const textFormat = (head: Uint8Array, hint: Format | undefined): Format => {
  const first = Buffer.from(head).toString('utf8').trimStart()
  if (hint === 'jsonl' || hint === undefined || hint === 'text') {
    if (first.startsWith('['))
      if (hint === 'jsonl' || isJsonStart(first))
        throw new UploadRefused('unsupported-format', 'This is one JSON array: send JSON lines, one object a line.')
    if (hint === 'jsonl' || isObjectLine(head)) return 'jsonl'
  }
  if (hint !== undefined) return hint
  return /^(#{1,6} |```|---\n|\[[^\]]+\]: )/m.test(first.slice(0, 4096)) ? 'markdown' : 'text'
}

/** An array of objects or of strings, not a line of prose in brackets. */
const isJsonStart = (text: string): boolean => /^\[\s*(\{\s*"|"(?:[^"\\]|\\.)*"\s*[,\]])/.test(text)

const isObjectLine = (head: Uint8Array): boolean => {
  const newline = head.indexOf(0x0a)
  const line = decodeUtf8(newline < 0 ? head : head.subarray(0, newline))?.trim()
  if (!line?.startsWith('{')) return false
  try {
    return typeof JSON.parse(line) === 'object'
  } catch {
    return false
  }
}
