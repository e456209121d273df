import { checkContent, decodeUtf8 } from './check-text.ts'
import { cutProse } from './cut-prose.ts'
import type { Limits } from './limits.ts'
import { ProseLines } from './prose-lines.ts'
import { isRefused, type Refused, type RowContent, refused, type SplitRow } from './split-row.ts'
import { trimmed } from './white-space.ts'

interface Block {
  start: number
  end: number
}

/**
 * Rows of plain text or Markdown: a block between blank lines is a row; short blocks go with the block after them,
 * blocks longer than `proseRowBytes` are cut at sentences. A row's text is exactly the bytes [start, end) of the upload.
 */
export function* splitProse(bytes: Uint8Array, base: number, markdown: boolean, limits: Limits): Generator<SplitRow> {
  let row = 0
  for (const block of joinShort(blocksOf(bytes, markdown), limits))
    for (const piece of cutProse(bytes, block.start, block.end, limits.proseRowBytes)) {
      const { start, end } = trimmed(bytes, piece.start, piece.end)
      if (start === end) continue
      yield { row, start: base + start, end: base + end, ...rowOf(bytes.subarray(start, end), limits) }
      row++
    }
}

/** Blocks without the white space around them, in order; a heading starts a block, a fenced code block is never cut open. */
function* blocksOf(bytes: Uint8Array, markdown: boolean): Generator<Block> {
  const lines = new ProseLines(markdown)
  let open: Block | undefined
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, at)
    const next = newline < 0 ? bytes.length : newline + 1
    const kind = lines.read(bytes.subarray(at, next))
    if (open && kind !== 'text') {
      yield open
      open = undefined
    }
    if (kind !== 'blank') open = { start: open?.start ?? at, end: next }
    at = next
  }
  if (open) yield open
}

function* joinShort(blocks: Iterable<Block>, limits: Limits): Generator<Block> {
  let held: Block | undefined
  for (const block of blocks) {
    if (held && block.end - held.start <= limits.proseRowBytes) held = { start: held.start, end: block.end }
    else {
      if (held) yield held
      held = block
    }
    if (held.end - held.start >= limits.proseJoinBytes) {
      yield held
      held = undefined
    }
  }
  if (held) yield held
}

const rowOf = (bytes: Uint8Array, limits: Limits): { content: RowContent } | Refused => {
  const text = decodeUtf8(bytes)
  if (text === undefined) return refused('invalid-utf8', 'The bytes are not UTF-8.')
  const content = checkContent({ text }, limits)
  return isRefused(content) ? content : { content }
}
