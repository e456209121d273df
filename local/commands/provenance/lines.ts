/** Lines of a stream of bytes, without their \n. They end in \n only: a raw U+2028 is text, which readline would take for an end. */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pending: Buffer[] = []
  for await (const chunk of stream) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const last = chunk.subarray(from, end)
      yield pending.length === 0 ? last : Buffer.concat([...pending, last])
      pending = []
      from = end + 1
    }
    if (from < chunk.length) pending.push(chunk.subarray(from))
  }
  if (pending.length > 0) yield Buffer.concat(pending)
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The line as JSON, or why it is none. */
export function parseLine(line: Buffer): { value: unknown } | { reason: string } {
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
