/**
 * All maximal stretches of a query that occur in an index, by probes from right to left.
 *
 * Let f(e) be the smallest s such that query[s, e) occurs; f never falls as e grows. The maximal spans of at least L bytes
 * are exactly the pairs (f(e), e) with e - f(e) >= L and f(e + 1) > f(e). Boyer-Moore-Li (Gagie, arXiv 2403.02008) skips
 * windows that cannot hold a match; this is its mirror image, made for an index that extends to the left. One fact does
 * the work: if f(p) > min(smax, top - L) for some p <= top, no end in [p, top] closes a new span (smax + 1 is the start of
 * the last span found, top the last end not yet ruled out). A failed probe at a low p rules out all those ends at once,
 * and the text of a span is read by the one extension that finds its start.
 */
export interface Rows {
  lo: number
  hi: number
}

/** Half-open row intervals of a backward-search index. */
export interface BackwardIndex {
  readonly rowCount: number
  /** Narrows `rows` of w to those of byte + w; false (and an empty interval) when nothing is left. */
  extend(rows: Rows, byte: number): boolean
  /** Does a live (not deleted) row hold one of these occurrences? Absent: nothing is deleted. */
  isLive?(rows: Rows): boolean
}

/** query[start, end) stands at the suffixes in rows [lo, hi). */
export interface RawSpan {
  start: number
  end: number
  lo: number
  hi: number
}

/** First probe: chance matches in a few hundred MB of text end before about this many bytes. */
const FIRST_PROBE = 16

interface Reach extends Rows {
  /** query[at, end of the probe) occurs in rows [lo, hi). */
  at: number
}

/** Ascending by start (and by end). `minLength` >= 1. */
export function maximalSpans(index: BackwardIndex, query: Uint8Array, minLength: number): RawSpan[] {
  const found: RawSpan[] = []
  let top = query.length
  let smax = query.length
  let step = FIRST_PROBE
  let held = 0 // end of the last probe that held; 0: none
  let reach: Reach = { at: 0, lo: 0, hi: 0 }
  let failedAbove = false
  for (;;) {
    const lim = Math.min(smax, top - minLength)
    if (lim < 0) return found.reverse()
    if (held > top) held = 0
    const p: number = held === 0 || !failedAbove ? Math.min(top, lim + step) : held + ((top - held + 1) >> 1)
    const from: Reach = p === held ? reach : { at: p, lo: 0, hi: index.rowCount }
    if (!extendTo(index, query, from, lim)) {
      failedAbove = p !== held && held !== 0
      if (!failedAbove) [held, step] = [0, FIRST_PROBE]
      top = p - 1
    } else if (p < top) {
      ;[held, reach, step] = [p, from, step * 2]
    } else {
      extendFully(index, query, from)
      found.push({ start: from.at, end: top, lo: from.lo, hi: from.hi })
      smax = from.at - 1
      top -= 1
      ;[held, step, failedAbove] = [0, FIRST_PROBE, false]
    }
  }
}

/** Extends to the left until `reach.at` is `lim`; false when the stretch stops occurring (in a live row) before. */
function extendTo(index: BackwardIndex, query: Uint8Array, reach: Reach, lim: number): boolean {
  while (reach.at > lim) {
    if (!index.extend(reach, query[reach.at - 1]!)) return false
    reach.at -= 1
  }
  return index.isLive?.(reach) ?? true
}

/** Extends to the left as far as some live row goes. */
function extendFully(index: BackwardIndex, query: Uint8Array, reach: Reach): void {
  const trail: Reach[] = [{ ...reach }]
  while (reach.at > 0 && index.extend(reach, query[reach.at - 1]!)) {
    reach.at -= 1
    trail.push({ ...reach })
  }
  let last = trail.length - 1
  if (index.isLive && !index.isLive(trail[last]!)) {
    let live = 0 // trail[live] is live, trail[last] is not
    while (last - live > 1) {
      const middle = (live + last) >> 1
      if (index.isLive(trail[middle]!)) live = middle
      else last = middle
    }
    last = live
  }
  Object.assign(reach, trail[last])
}
