import { isBlank } from './white-space.ts'

/** What a line does to the blocks of a text: nothing, end one, or start one. */
export type LineKind = 'text' | 'blank' | 'heading'

/**
 * Reads a text line by line and remembers one thing: whether it stands inside a fenced code block of Markdown
 * (CommonMark 0.31, 4.5: at least three backticks or tildes, indented by at most three spaces, closed by as many of
 * the same), where blank lines and # are text.
 */
export class ProseLines {
  private readonly markdown: boolean
  private fence: { mark: number; length: number } | undefined
  constructor(markdown: boolean) {
    this.markdown = markdown
  }

  /** Outside any fence, so that what follows can be read without what came before. */
  get outside(): boolean {
    return this.fence === undefined
  }

  read(line: Uint8Array): LineKind {
    const mark = this.markdown ? fenceOf(line) : undefined
    if (this.fence) {
      if (mark && mark.mark === this.fence.mark && mark.length >= this.fence.length && mark.bare) this.fence = undefined
      return 'text'
    }
    if (mark) {
      this.fence = mark
      return 'text'
    }
    if (isBlank(line)) return 'blank'
    return this.markdown && isHeading(line) ? 'heading' : 'text'
  }

  /** Gives up on a fence that never closes. */
  leaveFence(): void {
    this.fence = undefined
  }
}

const HASH = 0x23
const indentOf = (line: Uint8Array): number => {
  let at = 0
  while (at < 4 && line[at] === 0x20) at++
  return at
}

const fenceOf = (line: Uint8Array): { mark: number; length: number; bare: boolean } | undefined => {
  const from = indentOf(line)
  const mark = line[from]
  if (from > 3 || (mark !== 0x60 && mark !== 0x7e)) return undefined
  let to = from
  while (line[to] === mark) to++
  return to - from < 3 ? undefined : { mark, length: to - from, bare: isBlank(line.subarray(to)) }
}

const isHeading = (line: Uint8Array): boolean => {
  const from = indentOf(line)
  let to = from
  while (line[to] === HASH) to++
  const next = line[to]
  return from <= 3 && to > from && to - from <= 6 && (next === 0x20 || next === 0x09 || next === 0x0a)
}
