/** "OLPROV" and two bytes that a transfer in text mode would change. */
export const MAGIC = Uint8Array.of(0x4f, 0x4c, 0x50, 0x52, 0x4f, 0x56, 0x0d, 0x0a)
export const FORMAT_VERSION = 2
export const HEADER_BYTES = 64
/** Ends every row. Never a byte of well-formed UTF-8, so no pattern can cross a row border, and NUL is ordinary text. */
export const SEPARATOR = 0xff
/** The row number of every 64th suffix is kept. */
export const SAMPLE_EVERY = 64
export const MAX_SHARD_BYTES = 512 * 1024 * 1024
