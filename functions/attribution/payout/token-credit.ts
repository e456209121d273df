import type { Stretch } from './prompt-echo.ts'

/** An evidence cluster as a holder of text: who registered it, and when. */
export interface Holder {
  cluster: string
  datanetId: string
  contributor: string
  /** Registry order over all Datanets of the adapter; lower is earlier, never shared. */
  sequence: number
  /** Highest sequence of the Datanet version that first held the row: holders after it cannot make its text common. */
  versionEnd: number
}

/** A stretch of the output that stands verbatim in rows of these clusters. Spans may overlap and lie inside another. */
export interface HeldSpan extends Stretch {
  /** Distinct clusters; if there are more than a policy's `maxClusters`, the earliest maxClusters + 1 are enough. */
  holders: readonly Holder[]
}

/** Rules of the Datanet that a holder stands in (PayoutPolicy). */
export interface SpanPolicy {
  minSpanBytes: number
  maxClusters: number
}

export interface Credit {
  datanetId: string
  cluster: string
  contributor: string
  /** Extreme self-influence: the cluster stays listed, what it would move goes to nobody. */
  quarantined?: true | undefined
}

export type TokenVerdict = { to: Holder } | { nobody: 'no-evidence' | 'common' | 'in-prompt' }

/**
 * Who is credited for each output token (attribution.md C, "Provenance weight").
 *
 * A token belongs, whole, to the earliest-registered cluster that holds a span over it; among that cluster's spans over
 * the token the longest one decides whether the words are common language. The order matters: "longest first" would let
 * a later row that quotes an earlier one plus one more sentence take the earlier author's tokens (P19).
 * Common language = more than `maxClusters` clusters hold the span, counted up to the end of the version that first
 * held the credited row: later floods cannot void earlier work.
 * A token counts as covered only when all of its bytes lie inside the span.
 */
export const creditTokens = (
  tokens: readonly Stretch[],
  spans: readonly HeldSpan[],
  echoes: readonly Stretch[],
  policyOf: (datanetId: string) => SpanPolicy,
): TokenVerdict[] => {
  const eligible = spans
    .map((span) => ({
      ...span,
      holders: span.holders.filter((holder) => longEnough(span, policyOf(holder.datanetId))),
    }))
    .filter((span) => span.holders.length > 0)
    .sort((a, b) => a.start - b.start || b.end - a.end)
  return tokens.map((token): TokenVerdict => {
    if (token.start === token.end) return { nobody: 'no-evidence' }
    if (echoes.some((echo) => covers(echo, token))) return { nobody: 'in-prompt' }
    const over = eligible.filter((span) => covers(span, token))
    const earliest = earliestOf(over.flatMap((span) => span.holders))
    if (!earliest) return { nobody: 'no-evidence' }
    const longest = longestOf(over.filter((span) => holds(span, earliest)))
    return isCommon(longest, eligible, earliest, policyOf(earliest.datanetId)) ? { nobody: 'common' } : { to: earliest }
  })
}

const covers = (outer: Stretch, inner: Stretch) => outer.start <= inner.start && inner.end <= outer.end
const longEnough = (span: Stretch, policy: SpanPolicy) => span.end - span.start >= policy.minSpanBytes
const holds = (span: HeldSpan, holder: Holder) => span.holders.some((other) => other.cluster === holder.cluster)

const earliestOf = (holders: readonly Holder[]): Holder | undefined =>
  holders.reduce<Holder | undefined>(
    (best, holder) => (best && best.sequence <= holder.sequence ? best : holder),
    undefined,
  )

const longestOf = (spans: readonly HeldSpan[]): HeldSpan =>
  spans.reduce((best, span) => (span.end - span.start > best.end - best.start ? span : best))

const isCommon = (span: HeldSpan, all: readonly HeldSpan[], of: Holder, policy: SpanPolicy): boolean => {
  const clusters = new Set<string>()
  for (const other of all)
    if (covers(other, span))
      for (const holder of other.holders) if (holder.sequence <= of.versionEnd) clusters.add(holder.cluster)
  return clusters.size > policy.maxClusters
}
