import type { Limits } from './limits.ts'
import { type Refused, type RowContent, refused } from './split-row.ts'

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of these bytes, or undefined where they are not UTF-8 (overlong forms and surrogates included). */
export const decodeUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
const CONTROL = /[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f]/

/** Every text of a row must be well-formed Unicode without NUL and controls; the whole must be neither too short nor too long. */
export const checkContent = (content: RowContent, limits: Limits): RowContent | Refused => {
  const { text } = content
  if (text.trim() === '') return refused('empty', 'There is no text.')
  if (!text.isWellFormed()) return refused('invalid-utf8', 'An escape makes half a surrogate pair.')
  if (text.includes('\0')) return refused('nul-bytes', 'The text holds a NUL byte.')
  if (CONTROL.test(text)) return refused('control-characters', 'The text holds control characters.')
  const bytes = Buffer.byteLength(text)
  if (bytes < limits.minRowBytes)
    return refused('too-short', `${bytes} bytes; at least ${limits.minRowBytes} are needed.`)
  if (bytes > limits.maxRowBytes) return refused('too-long', `${bytes} bytes; at most ${limits.maxRowBytes} are taken.`)
  return content
}
