import { FINE, type Pools } from './pools.ts'
import type { Credit } from './token-credit.ts'

/** Integer evidence of one receipt, as it stands on the receipt. */
export interface Evidence {
  /** Bits credited to each cluster, units of 2^-16 bit. */
  provenance: readonly (Credit & { bits: bigint })[]
  /** Raw signed influence of each cluster; helpful is positive. Only ratios within the receipt matter (P4). */
  influence: readonly (Credit & { score: bigint })[]
}

/** What one receipt moves for one cluster, in fine units (2^-20 of 1e-18 OPEN). */
export interface ClusterEffect extends Credit {
  provenance: bigint
  /** Signed. Over an epoch and adapter these are summed and clamped at zero. */
  influence: bigint
}

export interface EffectRules {
  /** Contributors whose own score this receipt must not move: the payer and the accounts linked to it. */
  excluded: ReadonlySet<string>
  /** Largest part of the receipt's contributor pool for one cluster of this Datanet, basis points. */
  capPerClusterBps: (datanetId: string) => number
}

/**
 * Effect of one receipt on each cluster (attribution.md C, "Influence weight" and "Caps"). Positives share the influence
 * pool by score; negatives take the same scale, or a smaller one so that they sum to no less than minus the pool.
 * So X paid moves at most X upwards and at most X downwards. What a cap or an exclusion takes away goes to nobody
 * else: it is left over, and the epoch gives it to the treasury.
 * Clusters come out in order of first mention; an excluded contributor's and a quarantined cluster have effect 0.
 */
export const clusterEffects = (evidence: Evidence, pools: Pools, rules: EffectRules): ClusterEffect[] => {
  const covered = sum(evidence.provenance.map(({ bits }) => bits))
  const positive = sum(evidence.influence.map(({ score }) => (score > 0n ? score : 0n)))
  const negative = sum(evidence.influence.map(({ score }) => (score < 0n ? -score : 0n)))
  const effects = new Map<string, ClusterEffect>()
  const effectOf = ({ datanetId, cluster, contributor }: Credit): ClusterEffect => {
    const known = effects.get(cluster)
    if (known) return known
    const effect = { datanetId, cluster, contributor, provenance: 0n, influence: 0n }
    effects.set(cluster, effect)
    return effect
  }
  for (const credit of evidence.provenance)
    effectOf(credit).provenance = covered === 0n ? 0n : (pools.provenance * FINE * credit.bits) / covered
  for (const scored of evidence.influence)
    effectOf(scored).influence = scaled(scored.score, positive, negative, pools.influence * FINE)
  const contributors = (pools.provenance + pools.influence + pools.residual) * FINE
  const quarantined = new Set(
    [...evidence.provenance, ...evidence.influence].filter((entry) => entry.quarantined).map(({ cluster }) => cluster),
  )
  for (const effect of effects.values()) {
    if (rules.excluded.has(effect.contributor) || quarantined.has(effect.cluster)) {
      effect.provenance = 0n
      effect.influence = 0n
    } else limit(effect, (contributors * BigInt(rules.capPerClusterBps(effect.datanetId))) / 10_000n)
  }
  return [...effects.values()]
}

/** Truncates towards zero, so rounding never moves more than was paid. */
const scaled = (score: bigint, positive: bigint, negative: bigint, pool: bigint): bigint => {
  if (score === 0n) return 0n
  if (score > 0n) return (pool * score) / positive
  return -((pool * -score) / (positive > negative ? positive : negative))
}

const limit = (effect: ClusterEffect, cap: bigint) => {
  if (effect.provenance > cap) effect.provenance = cap
  if (effect.influence > cap - effect.provenance) effect.influence = cap - effect.provenance
  if (effect.influence < -cap) effect.influence = -cap
}

const sum = (values: readonly bigint[]) => values.reduce((a, b) => a + b, 0n)
