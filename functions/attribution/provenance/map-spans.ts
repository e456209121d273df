/** Byte spans of an output told as characters and as tokens. A span may begin or end inside a character or a token: only
 * what lies wholly inside the span is claimed, so that nothing is highlighted (or paid) that does not stand in the corpus. */
export interface ByteSpan {
  start: number
  end: number
}

export interface Range {
  start: number
  end: number
}

/** UTF-16 offsets (as JavaScript strings count), end exclusive. `bytes` is well-formed UTF-8. */
export function toUtf16(bytes: Uint8Array, spans: readonly ByteSpan[]): Range[] {
  return toCharacters(bytes, spans, (lead) => (lead >= 0xf0 ? 2 : 1))
}

/** Code-point offsets (as Python strings count), end exclusive. `bytes` is well-formed UTF-8. */
export function toCodePoints(bytes: Uint8Array, spans: readonly ByteSpan[]): Range[] {
  return toCharacters(bytes, spans, () => 1)
}

function toCharacters(bytes: Uint8Array, spans: readonly ByteSpan[], width: (lead: number) => number): Range[] {
  const lengths: number[] = []
  const widths: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at]!
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    lengths.push(length)
    widths.push(width(lead))
    at += length
  }
  const starts = [0]
  for (const unit of widths) starts.push(starts.at(-1)! + unit)
  return toTokens(lengths, spans).map(({ start, end }) => ({ start: starts[start]!, end: starts[end]! }))
}

/**
 * Token ranges, given the number of output bytes that each token contributed (0 for tokens without text).
 * An empty range (start === end) means that no token lies wholly inside the span.
 */
export function toTokens(tokenBytes: readonly number[], spans: readonly ByteSpan[]): Range[] {
  const ends: number[] = []
  for (const length of tokenBytes) ends.push((ends.at(-1) ?? 0) + length)
  return spans.map((span) => {
    // Tokens are inside when they begin at or after span.start and end at or before span.end.
    const first = countWhile(ends, (end, i) => end - tokenBytes[i]! < span.start)
    const past = countWhile(ends, (end) => end <= span.end)
    return { start: Math.min(first, Math.max(first, past)), end: Math.max(first, past) }
  })
}

/** Length of the prefix on which `holds` is true; `holds` is monotone. */
function countWhile(values: readonly number[], holds: (value: number, index: number) => boolean): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(values[middle]!, middle)) low = middle + 1
    else high = middle
  }
  return low
}
