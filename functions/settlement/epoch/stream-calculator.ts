import type { Receipt } from '#schema/receipt'
import { type Accounts, byText, type Capacity, type Charge, type ClusterSum, type EarnedLine } from './closing.ts'
import type { EpochInputs } from './inputs.ts'

const SHIFT = 20n

/**
 * First of the two epoch calculators: takes receipts one at a time, in any order, and keeps one counter a line, client
 * and cluster. Shares no arithmetic with `set-calculator.ts` on purpose; both must give the same bytes.
 *
 * Per receipt (attribution.md C), in fine units of 2^-20: provenance pool by credited bits; influence pool by score,
 * negatives on the positives' scale but never below minus the pool; nothing for the payer and its linked accounts; the
 * Datanet's cap per cluster. Per epoch and adapter a cluster earns its provenance + max(0, influence); contributors are
 * rounded by largest remainder against the rest, which goes to treasuries and is never shared out again. The residual
 * of a fully attributed receipt follows its Datanets' policies; any other residual is never refunded.
 */
export const streamCalculator = (inputs: EpochInputs) => {
  const order = new Map(inputs.accounts.map(({ accountId }, index) => [accountId, index]))
  const lines = new Map<string, EarnedLine>()
  const charges = new Map<string, Charge>()
  const sums = new Map<string, Map<string, ClusterSum>>()
  const evidencePools = new Map<string, { units: bigint; datanets: Receipt['billing']['datanets'] }>()

  const earn = (adapterId: string, as: Capacity, payee: string, amount: bigint) => {
    if (amount === 0n) return
    const key = `${adapterId} ${as} ${payee}`
    const line = lines.get(key)
    if (line) line.amount += amount
    else lines.set(key, { payee, as, adapterId, amount })
  }

  return {
    add({ billing, attribution }: Receipt): void {
      const { adapterId } = billing
      const pools = Object.fromEntries(
        Object.entries(attribution.pools).map(([name, digits]) => [name, BigInt(digits)]),
      ) as Record<keyof Receipt['attribution']['pools'], bigint>
      earn(adapterId, 'platform', billing.platformPayee, BigInt(billing.platformFee))
      earn(adapterId, 'owner', billing.owner, pools.owner)
      earn(adapterId, 'stakers', billing.split.stakersPayee ?? billing.owner, pools.stakers)

      const charge = charges.get(billing.payer) ?? { client: billing.payer, fees: 0n, refunds: 0n }
      charges.set(billing.payer, charge)
      charge.fees += BigInt(billing.fee)
      for (const part of byTrainedTokens(pools.residual, billing.datanets)) {
        const { residual } = part.policy
        if (residual.to === 'treasury') earn(adapterId, 'treasury', residual.payee, part.amount)
        else if (attribution.status === 'full') charge.refunds += part.amount
        else earn(adapterId, 'treasury', inputs.treasury, part.amount)
      }

      const evidence = evidencePools.get(adapterId) ?? { units: 0n, datanets: billing.datanets }
      evidencePools.set(adapterId, evidence)
      evidence.units += pools.provenance + pools.influence
      const clusters = sums.get(adapterId) ?? new Map<string, ClusterSum>()
      sums.set(adapterId, clusters)
      for (const moved of receiptEffects({ billing, attribution }, pools)) {
        const sum = clusters.get(moved.cluster)
        if (!sum) clusters.set(moved.cluster, { adapterId, ...moved })
        else {
          sum.provenance += moved.provenance
          sum.influence += moved.influence
        }
      }
    },

    finish(): Accounts {
      const earnedFine = new Map<string, Map<string, bigint>>()
      const all = [...sums.values()].flatMap((clusters) => [...clusters.values()])
      for (const { adapterId, contributor, provenance, influence } of all) {
        const ofAdapter = earnedFine.get(adapterId) ?? new Map<string, bigint>()
        earnedFine.set(adapterId, ofAdapter)
        ofAdapter.set(contributor, (ofAdapter.get(contributor) ?? 0n) + provenance + (influence > 0n ? influence : 0n))
      }
      for (const [adapterId, { units, datanets }] of evidencePools) {
        const contributors = [...(earnedFine.get(adapterId) ?? [])].sort((a, b) => order.get(a[0])! - order.get(b[0])!)
        const { amounts, rest } = roundLargest(
          units,
          contributors.map(([, fine]) => fine),
        )
        contributors.forEach(([payee], i) => {
          earn(adapterId, 'contributor', payee, amounts[i]!)
        })
        for (const { policy, amount } of byTrainedTokens(rest, datanets))
          earn(
            adapterId,
            'treasury',
            policy.residual.to === 'treasury' ? policy.residual.payee : inputs.treasury,
            amount,
          )
      }
      return {
        lines: [...lines.values()].sort(
          (a, b) => byText(a.adapterId, b.adapterId) || byText(a.as, b.as) || byText(a.payee, b.payee),
        ),
        charges: [...charges.values()].sort((a, b) => byText(a.client, b.client)),
        sums: all.sort((a, b) => byText(a.adapterId, b.adapterId) || byText(a.cluster, b.cluster)),
      }
    },
  }
}

/** What one receipt moves for each cluster, fine units. */
export const receiptEffects = (
  { billing, attribution }: Pick<Receipt, 'billing' | 'attribution'>,
  pools: { provenance: bigint; influence: bigint; residual: bigint },
): Omit<ClusterSum, 'adapterId'>[] => {
  const moved = new Map<string, Omit<ClusterSum, 'adapterId'> & { datanetId: string }>()
  const at = (entry: { cluster: string; contributor: string; datanetId: string }) => {
    let known = moved.get(entry.cluster)
    if (!known) {
      known = {
        cluster: entry.cluster,
        contributor: entry.contributor,
        provenance: 0n,
        influence: 0n,
        datanetId: entry.datanetId,
      }
      moved.set(entry.cluster, known)
    }
    return known
  }
  let covered = 0n
  for (const { bits } of attribution.provenance) covered += BigInt(bits)
  for (const entry of attribution.provenance)
    at(entry).provenance = ((pools.provenance << SHIFT) * BigInt(entry.bits)) / covered
  let up = 0n
  let down = 0n
  for (const { score } of attribution.influence) {
    const value = BigInt(score)
    if (value > 0n) up += value
    else down -= value
  }
  const widest = up > down ? up : down
  for (const entry of attribution.influence) {
    const value = BigInt(entry.score)
    if (value !== 0n) at(entry).influence = ((pools.influence << SHIFT) * value) / (value > 0n ? up : widest)
  }
  const contributors = (pools.provenance + pools.influence + pools.residual) << SHIFT
  const caps = new Map(
    billing.datanets.map(({ id, policy }) => [id, (contributors * BigInt(policy.capPerClusterBps)) / 10_000n]),
  )
  const withheld = new Set<string>()
  for (const { cluster, quarantined } of [...attribution.provenance, ...attribution.influence])
    if (quarantined) withheld.add(cluster)
  const result: Omit<ClusterSum, 'adapterId'>[] = []
  for (const { datanetId, ...effect } of moved.values()) {
    if (effect.contributor === billing.payer || billing.linkedToPayer.includes(effect.contributor)) continue
    if (withheld.has(effect.cluster)) continue
    const cap = caps.get(datanetId)!
    if (effect.provenance > cap) effect.provenance = cap
    if (effect.influence > cap - effect.provenance) effect.influence = cap - effect.provenance
    if (effect.influence < -cap) effect.influence = -cap
    result.push(effect)
  }
  return result
}

/** Splits an amount over Datanets by trained tokens, largest remainder, ties to the earlier in the manifest. */
const byTrainedTokens = (amount: bigint, datanets: Receipt['billing']['datanets']) => {
  const total = datanets.reduce((sum, { trainedTokens }) => sum + BigInt(trainedTokens), 0n)
  // A manifest that counts no tokens at all gives every Datanet the same part.
  const weights = datanets.map(({ trainedTokens }) => (total === 0n ? 1n : BigInt(trainedTokens)))
  const whole = total === 0n ? BigInt(datanets.length) : total
  const amounts = weights.map((weight) => (amount * weight) / whole)
  const remainders = weights.map((weight, index) => ({ index, value: (amount * weight) % whole }))
  remainders.sort((a, b) => Number(b.value > a.value) - Number(b.value < a.value) || a.index - b.index)
  let left = amount - amounts.reduce((a, b) => a + b, 0n)
  for (const { index } of remainders) if (left-- > 0n) amounts[index]! += 1n
  return datanets.map(({ policy }, index) => ({ policy, amount: amounts[index]! }))
}

/** Rounds fine amounts and their rest to whole units that sum to `units`; the rest is last in a tie. */
const roundLargest = (units: bigint, fine: readonly bigint[]): { amounts: bigint[]; rest: bigint } => {
  const mask = (1n << SHIFT) - 1n
  const all = [...fine, (units << SHIFT) - fine.reduce((a, b) => a + b, 0n)]
  const amounts = all.map((value) => value >> SHIFT)
  const ranked = all.map((value, index) => ({ index, value: value & mask }))
  ranked.sort((a, b) => Number(b.value > a.value) - Number(b.value < a.value) || a.index - b.index)
  let left = units - amounts.reduce((a, b) => a + b, 0n)
  for (const { index } of ranked) if (left-- > 0n) amounts[index]! += 1n
  return { amounts: amounts.slice(0, -1), rest: amounts.at(-1)! }
}
