import type { ProvenanceSpan } from './provenance-span.ts'

/**
 * One answer from the answers of shards that hold different rows: the union of their spans, less those inside a longer one.
 * A span that ends in one shard where another goes on is inside the other's span, so nothing is lost, and how the rows were
 * sharded does not show (among more than maxOwners owners, *which* of them are named may differ).
 */
export function mergeSpans(shards: readonly (readonly ProvenanceSpan[])[], maxOwners: number): ProvenanceSpan[] {
  const all = shards.flat().sort((a, b) => a.start - b.start || b.end - a.end)
  const merged: ProvenanceSpan[] = []
  for (const span of all) {
    const last = merged.at(-1)
    if (last && last.start === span.start && last.end === span.end) {
      last.owners.push(...span.owners)
      last.ownerCount += span.ownerCount
    } else if (!last || span.end > last.end) merged.push({ ...span, owners: [...span.owners] })
  }
  for (const span of merged) span.owners = span.owners.sort().slice(0, maxOwners)
  return merged
}
