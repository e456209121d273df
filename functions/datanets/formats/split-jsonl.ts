import { checkContent, decodeUtf8 } from './check-text.ts'
import { jsonDepth } from './json-depth.ts'
import { contentOf } from './json-shapes.ts'
import type { Limits } from './limits.ts'
import { isRefused, type Refused, type RowContent, refused, type SplitRow } from './split-row.ts'
import { isBlank } from './white-space.ts'

/**
 * JSON lines of one chunk. A line ends in \n and nothing else: U+2028 inside a line is text, and a \r before the \n
 * is white space. Blank lines are no rows. `base` is the chunk's offset in the upload.
 */
export function* splitJsonl(bytes: Uint8Array, base: number, limits: Limits): Generator<SplitRow> {
  let row = 0
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start)
    const end = newline < 0 ? bytes.length : newline
    const line = bytes.subarray(start, end)
    if (!isBlank(line)) {
      yield { row, start: base + start, end: base + end, ...rowOf(line, limits) }
      row++
    }
    start = end + 1
  }
}

const rowOf = (line: Uint8Array, limits: Limits): { content: RowContent } | Refused => {
  if (line.length > limits.maxRecordBytes)
    return refused('too-long', `The line has ${line.length} bytes; at most ${limits.maxRecordBytes} are read.`)
  if (line.includes(0)) return refused('nul-bytes', 'The line holds a NUL byte.')
  const json = decodeUtf8(line)
  if (json === undefined) return refused('invalid-utf8', 'The line is not UTF-8.')
  if (jsonDepth(line, limits.maxJsonDepth) > limits.maxJsonDepth)
    return refused('json-bomb', `Nested deeper than ${limits.maxJsonDepth} levels.`)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return refused('not-json', 'The line is not JSON.')
  }
  const content = contentOf(value, limits)
  if (isRefused(content)) return content
  const checked = checkContent(content, limits)
  return isRefused(checked) ? checked : { content: checked }
}
