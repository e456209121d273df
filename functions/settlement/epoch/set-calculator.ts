import type { Receipt } from '#schema/receipt'
import { type Accounts, byText, type Capacity, type Charge, type ClusterSum, type EarnedLine } from './closing.ts'
import type { EpochInputs } from './inputs.ts'

const FINE = 1_048_576n
type Datanets = Receipt['billing']['datanets']
type Entry = { adapterId: string; as: Capacity; payee: string; amount: bigint }

/**
 * Second of the two epoch calculators: takes the whole set of receipts, makes flat tables of small facts (who, what,
 * how much) and sums them by key at the end. Written apart from `stream-calculator.ts` from the same rule
 * (attribution.md C); it imports none of its arithmetic, so that one slip cannot pass in both.
 */
export const calculateFromSet = (receipts: readonly Receipt[], inputs: EpochInputs): Accounts => {
  const byAdapter = Map.groupBy(receipts, ({ billing }) => billing.adapterId)
  const sumsOf = new Map(
    [...byAdapter].map(([adapterId, own]) => [adapterId, sumClusters(own.flatMap(effectsOfReceipt))]),
  )
  const entries: Entry[] = [
    ...receipts.flatMap((receipt) => feeEntries(receipt)),
    ...receipts.flatMap(
      (receipt) => residualParts(receipt, inputs.treasury).filter(({ payee }) => payee !== undefined) as Entry[],
    ),
    ...[...byAdapter].flatMap(([adapterId, own]) =>
      evidenceEntries(adapterId, own, sumsOf.get(adapterId) ?? [], inputs),
    ),
  ]
  return {
    lines: sumLines(entries),
    charges: chargesOf(receipts, inputs.treasury),
    sums: [...sumsOf.keys()].sort().flatMap((adapterId) => sumsOf.get(adapterId)!),
  }
}

const feeEntries = ({ billing, attribution }: Receipt): Entry[] => {
  const { adapterId, owner, platformPayee } = billing
  const stakers = billing.split.stakersPayee ?? owner
  return [
    { adapterId, as: 'platform', payee: platformPayee, amount: BigInt(billing.platformFee) },
    { adapterId, as: 'owner', payee: owner, amount: BigInt(attribution.pools.owner) },
    { adapterId, as: 'stakers', payee: stakers, amount: BigInt(attribution.pools.stakers) },
  ]
}

/** Parts of a receipt's residual; one without payee goes back to the client. */
const residualParts = ({ billing, attribution }: Receipt, treasury: string) => {
  const parts = hamilton(BigInt(attribution.pools.residual), trained(billing.datanets))
  return billing.datanets.map(({ policy }, index) => {
    const named = policy.residual.to === 'treasury' ? policy.residual.payee : undefined
    const payee = named ?? (attribution.status === 'full' ? undefined : treasury)
    return { adapterId: billing.adapterId, as: 'treasury' as const, payee, amount: parts[index]! }
  })
}

/** Contributors' lines of one adapter, and what is left of its evidence pools for the treasuries. */
const evidenceEntries = (adapterId: string, own: Receipt[], sums: ClusterSum[], inputs: EpochInputs): Entry[] => {
  const units = total(
    own.map(({ attribution }) => BigInt(attribution.pools.provenance) + BigInt(attribution.pools.influence)),
  )
  const byContributor = Map.groupBy(sums, ({ contributor }) => contributor)
  const contributors = inputs.accounts.map(({ accountId }) => accountId).filter((account) => byContributor.has(account))
  const earned = contributors.map((account) =>
    total(byContributor.get(account)!.map(({ provenance, influence }) => provenance + positive(influence))),
  )
  const amounts = hamilton(units, [...earned, units * FINE - total(earned)])
  const datanets = own[0]!.billing.datanets
  const left = hamilton(amounts[contributors.length]!, trained(datanets))
  return [
    ...contributors.map((payee, i): Entry => ({ adapterId, as: 'contributor', payee, amount: amounts[i]! })),
    ...datanets.map(({ policy: { residual } }, i): Entry => {
      const payee = residual.to === 'refund' ? inputs.treasury : residual.payee
      return { adapterId, as: 'treasury', payee, amount: left[i]! }
    }),
  ]
}

const chargesOf = (receipts: readonly Receipt[], treasury: string): Charge[] =>
  [...Map.groupBy(receipts, ({ billing }) => billing.payer)]
    .map(([client, own]) => ({
      client,
      fees: total(own.map(({ billing }) => BigInt(billing.fee))),
      refunds: total(
        own
          .flatMap((receipt) => residualParts(receipt, treasury).filter(({ payee }) => payee === undefined))
          .map(({ amount }) => amount),
      ),
    }))
    .sort((a, b) => byText(a.client, b.client))

/** Effect of one receipt on every cluster that is neither the payer's nor of a linked account, fine units. */
export const effectsOfReceipt = ({ billing, attribution }: Receipt): ClusterSum[] => {
  const pool = { provenance: BigInt(attribution.pools.provenance), influence: BigInt(attribution.pools.influence) }
  const all = pool.provenance + pool.influence + BigInt(attribution.pools.residual)
  const linked = new Set([billing.payer, ...billing.linkedToPayer])
  const evidence = [...attribution.provenance, ...attribution.influence]
  const quarantined = new Set(evidence.flatMap((entry) => (entry.quarantined ? [entry.cluster] : [])))
  const bits = new Map(attribution.provenance.map((entry) => [entry.cluster, BigInt(entry.bits)]))
  const scores = new Map(attribution.influence.map((entry) => [entry.cluster, BigInt(entry.score)]))
  const covered = total([...bits.values()])
  const gains = total([...scores.values()].map(positive))
  const losses = total([...scores.values()].map((score) => positive(-score)))
  const clusters = new Map(evidence.map((entry) => [entry.cluster, entry]))
  return [...clusters.values()]
    .filter(({ cluster, contributor }) => !linked.has(contributor) && !quarantined.has(cluster))
    .map(({ cluster, contributor, datanetId }) => {
      const { policy } = billing.datanets.find(({ id }) => id === datanetId)!
      const cap = (all * FINE * BigInt(policy.capPerClusterBps)) / 10_000n
      const score = scores.get(cluster) ?? 0n
      const provenance = least(cap, covered > 0n ? (pool.provenance * FINE * (bits.get(cluster) ?? 0n)) / covered : 0n)
      const gain = gains > 0n ? (pool.influence * FINE * positive(score)) / gains : 0n
      const loss = losses > 0n ? (pool.influence * FINE * positive(-score)) / most(gains, losses) : 0n
      const influence = least(cap - provenance, gain) - least(cap, loss)
      return { adapterId: billing.adapterId, cluster, contributor, provenance, influence }
    })
}

/** Effects of one adapter's receipts, summed by cluster. */
const sumClusters = (effects: readonly ClusterSum[]): ClusterSum[] =>
  [...Map.groupBy(effects, ({ cluster }) => cluster).values()]
    .map((same) => ({
      ...same[0]!,
      provenance: total(same.map(({ provenance }) => provenance)),
      influence: total(same.map(({ influence }) => influence)),
    }))
    .sort((a, b) => byText(a.cluster, b.cluster))

const sumLines = (entries: readonly Entry[]): EarnedLine[] =>
  [...Map.groupBy(entries, ({ adapterId, as, payee }) => `${adapterId} ${as} ${payee}`).values()]
    .map((same) => ({ ...same[0]!, amount: total(same.map(({ amount }) => amount)) }))
    .filter(({ amount }) => amount !== 0n)
    .sort((a, b) => byText(a.adapterId, b.adapterId) || byText(a.as, b.as) || byText(a.payee, b.payee))

const total = (values: readonly bigint[]): bigint => values.reduce((sum, value) => sum + value, 0n)
const positive = (value: bigint): bigint => (value > 0n ? value : 0n)
// Math.min and Math.max take no bigint.
const least = (a: bigint, b: bigint): bigint => {
  if (a < b) return a
  return b
}
const most = (a: bigint, b: bigint): bigint => a + b - least(a, b)
const trained = (datanets: Datanets): bigint[] => {
  const tokens = datanets.map(({ trainedTokens }) => BigInt(trainedTokens))
  return tokens.some((count) => count > 0n) ? tokens : tokens.map(() => 1n)
}

/** Largest remainder by picking the largest one as often as units are left; the earliest wins a tie. */
const hamilton = (amount: bigint, weights: readonly bigint[]): bigint[] => {
  const whole = total(weights)
  if (whole === 0n) return weights.map(() => 0n)
  const result = weights.map((weight) => (amount * weight) / whole)
  const open = weights.map((weight, i) => amount * weight - result[i]! * whole)
  for (let left = amount - total(result); left > 0n; left--) {
    const winner = open.reduce((best, value, i) => (value > open[best]! ? i : best), 0)
    result[winner]! += 1n
    open[winner] = -1n
  }
  return result
}
