import { isSpace } from './white-space.ts'

/**
 * Cuts [start, end) into pieces of at most `most` bytes and near the same length, at the best border there is:
 * the end of a sentence, else of a line, else of a word, else of a character. Every byte is in exactly one piece.
 */
export function* cutProse(
  bytes: Uint8Array,
  start: number,
  end: number,
  most: number,
): Generator<{ start: number; end: number }> {
  let from = start
  while (end - from > most) {
    const pieces = Math.ceil((end - from) / most)
    const cut = bestCut(bytes, from, Math.ceil((end - from) / pieces), most)
    yield { start: from, end: cut }
    from = cut
  }
  if (from < end) yield { start: from, end }
}

/** The best border in the second half of the allowed length; of equal ones the nearest to the wanted length. */
const bestCut = (bytes: Uint8Array, from: number, wanted: number, most: number): number => {
  let cut = characterBorder(bytes, from + most, from)
  let best = 0
  for (let at = from + Math.floor(most / 2); at <= from + most; at++) {
    const rank = rankOf(bytes, at)
    if (rank > best || (rank === best && rank > 0 && Math.abs(at - from - wanted) < Math.abs(cut - from - wanted))) {
      best = rank
      cut = at
    }
  }
  return cut
}

/** 3 after a sentence, 2 after a line, 1 after a word, 0 for no border; `at` is the first byte of the next piece. */
const rankOf = (bytes: Uint8Array, at: number): number => {
  if (endsCjkSentence(bytes, at)) return 3
  const last = bytes[at - 1] as number
  if (!isSpace(last) || isSpace(bytes[at] ?? 0)) return 0
  let before = at - 1
  while (before > 0 && isSpace(bytes[before] as number)) before--
  while (before > 0 && isCloser(bytes[before] as number)) before--
  const stop = bytes[before]
  if (stop === 0x2e || stop === 0x21 || stop === 0x3f) return 3
  return last === 0x0a ? 2 : 1
}

/** " ' ) ] may follow the full stop. */
const isCloser = (byte: number): boolean => byte === 0x22 || byte === 0x27 || byte === 0x29 || byte === 0x5d

/** Ideographic full stop U+3002, full-width ! U+FF01 and ? U+FF1F end a sentence without any white space. */
const endsCjkSentence = (bytes: Uint8Array, at: number): boolean => {
  const [a, b, c] = [bytes[at - 3], bytes[at - 2], bytes[at - 1]]
  return (a === 0xe3 && b === 0x80 && c === 0x82) || (a === 0xef && b === 0xbc && (c === 0x81 || c === 0x9f))
}

/** The last start of a UTF-8 character at or before `at`; bytes that are not UTF-8 are cut anywhere. */
const characterBorder = (bytes: Uint8Array, at: number, from: number): number => {
  for (let border = at; border > at - 4 && border > from; border--)
    if (((bytes[border] as number) & 0xc0) !== 0x80) return border
  return at
}
