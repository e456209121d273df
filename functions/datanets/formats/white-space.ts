/** Space, tab, newline, carriage return: the white space that borders are made of. */
export const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

export const isBlank = (bytes: Uint8Array): boolean => bytes.every(isSpace)

/** The part of [start, end) that is left without white space on both sides. */
export const trimmed = (bytes: Uint8Array, start: number, end: number): { start: number; end: number } => {
  let from = start
  let to = end
  while (from < to && isSpace(bytes[from] as number)) from++
  while (to > from && isSpace(bytes[to - 1] as number)) to--
  return { start: from, end: to }
}
