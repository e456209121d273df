import type { IndexRow, ProvenanceSpan } from './provenance-span.ts'

/** The meaning of a provenance answer, by brute force: what the property tests hold the engine to. Cubic; small texts only. */
export function referenceSpans(
  rows: readonly IndexRow[],
  query: Uint8Array,
  minLength: number,
  deleted: ReadonlySet<string> = new Set(),
): ProvenanceSpan[] {
  const live = rows.filter((row) => !deleted.has(row.id)).map(({ id, text }) => ({ id, bytes: Buffer.from(text) }))
  const holders = (start: number, end: number) => {
    const wanted = Buffer.from(query.subarray(start, end))
    return live.filter(({ bytes }) => bytes.includes(wanted)).map(({ id }) => id)
  }
  const spans: ProvenanceSpan[] = []
  let reached = 0
  for (let start = 0; start < query.length; start++) {
    let end = Math.max(reached, start)
    while (end < query.length && holders(start, end + 1).length > 0) end++
    if (end > reached && end - start >= minLength) {
      const owners = holders(start, end).sort()
      spans.push({ start, end, owners, ownerCount: owners.length })
    }
    reached = Math.max(reached, end)
  }
  return spans
}

/** Positions, in all rows, at which the pattern occurs (overlapping ones count). */
export function referenceCount(rows: readonly IndexRow[], pattern: Uint8Array): number {
  const wanted = Buffer.from(pattern)
  let count = 0
  for (const { text } of rows) {
    const bytes = Buffer.from(text)
    for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) count++
  }
  return count
}
