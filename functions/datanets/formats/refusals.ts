/** Why a row was not accepted: stable codes that stand in rejected.jsonl. */
const ROW_REFUSALS = {
  'invalid-utf8': 'The bytes are not UTF-8.',
  'nul-bytes': 'The text holds a NUL byte.',
  'control-characters': 'The text holds control characters other than tab, newline and carriage return.',
  'not-json': 'The line is not one JSON object.',
  'json-bomb': 'The JSON nests deeper than 16 levels.',
  'wrong-shape': 'The object has none of the accepted shapes.',
  'malformed-csv': 'The record breaks the quoting rules of RFC 4180 or has another number of fields than the header.',
  'too-many-columns': 'The row has more than 64 fields.',
  empty: 'There is no text.',
  'too-short': 'The text is shorter than 16 bytes.',
  'too-long': 'The text or its record is longer than a row may be.',
  'exact-duplicate': 'After normalisation the text equals that of an earlier row.',
  'near-duplicate': 'The Jaccard similarity of its 5-grams with an earlier row is at least 0.8.',
} as const
export type RowRefusal = keyof typeof ROW_REFUSALS

/** Why a whole upload was refused: the `reason.code` of a rejected contribution. */
export const FILE_REFUSALS = {
  'empty-file': 'The upload has no bytes, or nothing but white space.',
  'size-mismatch': 'The object has another size than was announced.',
  'checksum-mismatch': 'The sha256 of the bytes is not the announced one.',
  'too-large': 'The upload is larger than one contribution may be.',
  'too-many-rows': 'The upload holds more rows than one contribution may have.',
  'unsupported-format': 'The bytes are none of JSONL, CSV, Parquet, Markdown and plain text.',
  'unsupported-encoding': 'The text is UTF-16 or UTF-32.',
  'unsupported-compression': 'A Parquet column uses a codec that is not read here.',
  'archive-refused': 'Archives and compressed files are refused, whatever they expand to.',
  'type-mismatch': 'The bytes are not what the file name or the content type says.',
  'truncated-parquet': 'The file starts as Parquet and its footer is missing or cut.',
  'malformed-parquet': 'The Parquet metadata or a page cannot be read.',
  'parquet-bomb': 'A row group expands beyond the limits.',
  'json-bomb': 'One JSON line runs on beyond every limit.',
  'unbroken-record': 'One record runs on beyond every limit; for CSV, look for an unclosed quote.',
  'wrong-shape': 'The columns name none of the accepted shapes.',
  'too-many-columns': 'There are more than 64 columns.',
  'duplicate-upload': 'The same bytes were already accepted into this Datanet.',
  'no-rows-accepted': 'Every row was refused: read the list of rejected rows.',
  'ingestion-failed': 'Ingestion failed on our side; send the contribution again.',
} as const
export type FileRefusal = keyof typeof FILE_REFUSALS

/** Refuses the whole upload. Thrown by pure code, caught by the ingestion step, recorded on the contribution. */
export class UploadRefused extends Error {
  readonly code: FileRefusal
  constructor(code: FileRefusal, detail: string = FILE_REFUSALS[code]) {
    super(detail)
    this.name = 'UploadRefused'
    this.code = code
  }
}
