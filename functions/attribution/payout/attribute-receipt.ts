import type { EffectRules, Evidence } from './cluster-shares.ts'
import { type OutputToken, tokenInformation, tokenRanges } from './information.ts'
import { cutPools, type Pools, type Split } from './pools.ts'
import { promptEcho } from './prompt-echo.ts'
import { type ReceiptShares, receiptShares } from './receipt-shares.ts'
import { type Credit, creditTokens, type HeldSpan, type SpanPolicy } from './token-credit.ts'

/** Rules of one Datanet as frozen in the version that the adapter was trained on (schema: PayoutPolicy). */
export interface DatanetRules extends SpanPolicy {
  id: string
  capPerClusterBps: number
  capBitsPerToken: number
}

/** One answered choice of the request. */
export interface Answer {
  prompt: Uint8Array
  output: Uint8Array
  tokens: readonly OutputToken[]
  /** Spans of all Datanets of the adapter, nested ones included; only clusters of the adapter's manifest. */
  spans: readonly HeldSpan[]
}

export interface ReceiptEvidence {
  net: bigint
  split: Split
  datanets: readonly DatanetRules[]
  /** The base model's table, units of 2^-16 bit. */
  unigram: Uint32Array
  answers: readonly Answer[]
  /** Null: influence was not asked for (the adapter's budget) or failed; its pool then stays residual. */
  influence: { confidence: bigint; scores: readonly (Credit & { score: bigint })[] } | null
  /** The payer and the accounts that were linked to it at the debit. */
  excluded: ReadonlySet<string>
  /** Is the row one that the adapter's signed manifest lists? Others score 0 (P12). */
  inManifest: (credit: Credit) => boolean
  /** Clusters with extreme self-influence: they stay listed, what they would move goes to nobody. */
  quarantined?: ReadonlySet<string>
}

export interface ReceiptAttribution extends Evidence, ReceiptShares {
  totalBits: bigint
  pools: Pools
}

/**
 * Evidence -> what the receipt keeps: integer inputs per cluster, pools, provisional shares (attribution.md C).
 * Clusters are listed in registration order of their credit (provenance) and as given (influence). Several choices of
 * one request add up. The cap on a token's information is the lowest of the Datanets'.
 */
export const attributeReceipt = (evidence: ReceiptEvidence): ReceiptAttribution => {
  const rules = new Map(evidence.datanets.map((datanet) => [datanet.id, datanet]))
  const cap = Math.min(...evidence.datanets.map((datanet) => datanet.capBitsPerToken))
  const shortest = Math.min(...evidence.datanets.map((datanet) => datanet.minSpanBytes))
  const held = <Entry extends Credit>(entry: Entry): Entry =>
    evidence.quarantined?.has(entry.cluster) ? { ...entry, quarantined: true } : entry
  let totalBits = 0n
  const credits = new Map<string, Credit & { bits: bigint; sequence: number }>()
  for (const answer of evidence.answers) {
    const information = tokenInformation(answer.tokens, evidence.unigram, cap)
    totalBits += BigInt(information.reduce((a, b) => a + b, 0))
    const verdicts = creditTokens(
      tokenRanges(answer.tokens),
      known(answer.spans, evidence.inManifest),
      promptEcho(answer.output, answer.prompt, shortest),
      (datanetId) => rules.get(datanetId)!,
    )
    verdicts.forEach((verdict, token) => {
      if ('nobody' in verdict) return
      const { datanetId, cluster, contributor, sequence } = verdict.to
      const credit = credits.get(cluster) ?? { datanetId, cluster, contributor, bits: 0n, sequence }
      credit.bits += BigInt(information[token]!)
      credits.set(cluster, credit)
    })
  }
  const provenance = [...credits.values()]
    .filter(({ bits }) => bits > 0n)
    .sort((a, b) => a.sequence - b.sequence)
    .map(({ sequence: _, ...credit }) => held(credit))
  const influence = perCluster(
    (evidence.influence?.scores ?? []).filter((row) => evidence.inManifest(row) && row.score !== 0n),
  ).map(held)
  const coveredBits = provenance.reduce((sum, { bits }) => sum + bits, 0n)
  const confidence = evidence.influence?.confidence ?? 0n
  const pools = cutPools(evidence.net, evidence.split, { totalBits, coveredBits, confidence })
  const effects: EffectRules = {
    excluded: evidence.excluded,
    capPerClusterBps: (datanetId) => rules.get(datanetId)!.capPerClusterBps,
  }
  return { totalBits, provenance, influence, pools, ...receiptShares({ provenance, influence }, pools, effects) }
}

/** Scores are linear: several rows of one cluster add up. */
const perCluster = (scores: readonly (Credit & { score: bigint })[]): (Credit & { score: bigint })[] => {
  const sums = new Map<string, Credit & { score: bigint }>()
  for (const scored of scores) {
    const sum = sums.get(scored.cluster)
    sums.set(scored.cluster, sum ? { ...sum, score: sum.score + scored.score } : { ...scored })
  }
  return [...sums.values()]
}

const known = (spans: readonly HeldSpan[], inManifest: (credit: Credit) => boolean): HeldSpan[] =>
  spans.map((span) => ({ ...span, holders: span.holders.filter(inManifest) })).filter((span) => span.holders.length > 0)
