import { clusterEffects, type EffectRules, type Evidence } from './cluster-shares.ts'
import { FINE, type Pools } from './pools.ts'

/** Provisional shares of one receipt, as if it were its adapter's whole epoch. */
export interface ReceiptShares {
  /** One entry a contributor with a share above zero, ordered by account id; floored to 1e-18 OPEN. */
  shares: { payee: string; amount: bigint }[]
  /** The rest of the contributor pool: residual, capped, excluded, netted, and what the floors leave. */
  unattributed: bigint
}

/**
 * Shares by payee that a receipt shows until its epoch closes. Negative influence nets over the epoch, so the final
 * amount may be lower or higher; shares + unattributed is the contributor pool exactly, at any time.
 */
export const receiptShares = (evidence: Evidence, pools: Pools, rules: EffectRules): ReceiptShares => {
  const fine = new Map<string, bigint>()
  for (const effect of clusterEffects(evidence, pools, rules)) {
    const earned = effect.provenance + (effect.influence > 0n ? effect.influence : 0n)
    fine.set(effect.contributor, (fine.get(effect.contributor) ?? 0n) + earned)
  }
  const shares = [...fine]
    .map(([payee, amount]) => ({ payee, amount: amount / FINE }))
    .filter(({ amount }) => amount > 0n)
    .sort((a, b) => (a.payee < b.payee ? -1 : 1))
  const pool = pools.provenance + pools.influence + pools.residual
  return { shares, unattributed: pool - shares.reduce((all, { amount }) => all + amount, 0n) }
}
