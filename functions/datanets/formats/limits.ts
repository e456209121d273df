/** Bounds on what one upload may hold. They keep each chunk inside one Lambda's memory and time whatever was sent. */
export interface Limits {
  /** Whole upload. One contribution is committed by one function, whose memory holds about 560 bytes a row. */
  maxUploadBytes: number
  /** Rows of one contribution, for the same reason. */
  maxRows: number
  /** A chunk ends at the first record border at or after this many bytes. */
  chunkBytes: number
  /** A record without an end inside this many bytes refuses the whole file (`json-bomb`, `unbroken-record`). */
  maxUnbrokenBytes: number
  /** A longer line or CSV record is refused alone (`too-long`). */
  maxRecordBytes: number
  /** Longest text of a row that is kept whole, in UTF-8 bytes. */
  maxRowBytes: number
  /** Prose is cut to rows of at most this many bytes, so that a row fits a small model's context. */
  proseRowBytes: number
  /** A shorter block of prose (a heading, a list number) is joined with the block after it. */
  proseJoinBytes: number
  /** A text with fewer UTF-8 bytes than this says nothing that could be attributed (`too-short`). */
  minRowBytes: number
  /** Deepest nesting of a JSON value. */
  maxJsonDepth: number
  /** Keys of a JSON row, columns of a CSV or Parquet file. */
  maxColumns: number
  maxMessages: number
  /**
   * A provenance shard covers at most this many bytes of rows.jsonl (or one row): its builder holds about six bytes for
   * each of them, and the attribution worker a third of one.
   */
  shardBytes: number
  /** Parquet: largest uncompressed row group, and largest ratio of uncompressed to compressed bytes. */
  maxRowGroupBytes: number
  maxExpansion: number
}

const KIB = 1024
const MIB = 1024 * KIB

export const LIMITS: Limits = {
  maxUploadBytes: 1024 * MIB,
  maxRows: 1_000_000,
  chunkBytes: 8 * MIB,
  maxUnbrokenBytes: 16 * MIB,
  maxRecordBytes: 1 * MIB,
  maxRowBytes: 32 * KIB,
  proseRowBytes: 2 * KIB,
  proseJoinBytes: 80,
  minRowBytes: 16,
  maxJsonDepth: 16,
  maxColumns: 64,
  maxMessages: 256,
  shardBytes: 256 * MIB,
  maxRowGroupBytes: 256 * MIB,
  maxExpansion: 200,
}
