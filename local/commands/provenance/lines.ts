import { constants } from 'node:buffer'

/** A line of more bytes may be no string. */
const LONGEST = constants.MAX_STRING_LENGTH

/**
 * Lines of a stream of bytes, without their \n. They end in \n only: a raw U+2028 is text, which readline would take for an end.
 * Of a line that is longer than `longest` not much more than that is kept.
 */
export async function* linesOf(stream: AsyncIterable<Buffer>, longest = LONGEST): AsyncGenerator<Buffer> {
  let pending: Buffer[] = []
  let length = 0
  for await (const chunk of stream) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const last = chunk.subarray(from, end)
      yield pending.length === 0 ? last : Buffer.concat([...pending, last])
      pending = []
      length = 0
      from = end + 1
    }
    if (from === chunk.length || length > longest) continue
    pending.push(chunk.subarray(from))
    length += chunk.length - from
  }
  if (pending.length > 0) yield Buffer.concat(pending)
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The line as JSON, or why it is none. */
export function parseLine(line: Buffer): { value: unknown } | { reason: string } {
  if (line.length > LONGEST) return { reason: `longer than ${LONGEST} bytes` }
  let text: string
  try {
    text = utf8.decode(line)
  } catch {
    return { reason: 'not UTF-8' }
  }
  try {
    return { value: JSON.parse(text) }
  } catch {
    return { reason: 'not JSON' }
  }
}
