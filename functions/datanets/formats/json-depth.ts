/**
 * Deepest nesting of objects and arrays in JSON text, counted on the raw bytes before any parser sees them.
 * Stops at `limit + 1`. Brackets inside strings do not count.
 */
export const jsonDepth = (bytes: Uint8Array, limit: number): number => {
  let depth = 0
  let deepest = 0
  let quoted = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (quoted) {
      if (byte === 0x5c) at++
      else if (byte === 0x22) quoted = false
    } else if (byte === 0x22) quoted = true
    else if (byte === 0x7b || byte === 0x5b) {
      depth++
      if (depth > deepest) deepest = depth
      if (deepest > limit) return deepest
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  return deepest
}
