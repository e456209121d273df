import type { Receipt } from '#schema/receipt'
import { type Accounts, byText, type Capacity, type Charge, type ClusterSum } from './closing.ts'
import type { EpochInputs } from './inputs.ts'

const FINE = 1_048_576n
type Datanets = Receipt['billing']['datanets']
/** What the receipts of one adapter leave to evidence; its Datanets never change. */
type EvidencePool = { adapterId: string; units: bigint; datanets: Datanets }
type Entry = { adapterId: string; as: Capacity; payee: string; amount: bigint }

/**
 * Second of the two epoch calculators: takes receipts by the batch, makes flat tables of small facts (who, what, how much)
 * and sums each table by its key, so that it stays as small as the keys are few. Written apart from `stream-calculator.ts`
 * from the same rule (attribution.md C); it imports none of its arithmetic, so that one slip cannot pass in both.
 */
export const setCalculator = (inputs: EpochInputs) => {
  const entries = new Map<string, Entry>()
  const sums = new Map<string, Map<string, ClusterSum>>()
  const charges = new Map<string, Charge>()
  const pools = new Map<string, EvidencePool>()
  return {
    add(batch: readonly Receipt[]): void {
      for (const receipt of batch) {
        const { adapterId, payer, fee } = receipt.billing
        const residuals = residualParts(receipt, inputs.treasury)
        const named = residuals.filter(({ payee }) => payee !== undefined) as Entry[]
        book(entries, [...feeEntries(receipt), ...named], entryKey, ['amount'])
        const refunds = total(residuals.filter(({ payee }) => payee === undefined).map(({ amount }) => amount))
        book(charges, [{ client: payer, fees: BigInt(fee), refunds }], ({ client }) => client, ['fees', 'refunds'])
        book(pools, [poolOf(receipt)], ({ adapterId }) => adapterId, ['units'])
        const ofAdapter = sums.get(adapterId) ?? new Map<string, ClusterSum>()
        sums.set(adapterId, ofAdapter)
        for (const effect of effectsOfReceipt(receipt)) bookEffect(ofAdapter, effect)
      }
    },
    finish(): Accounts {
      const clusters = new Map([...sums].map(([adapterId, ofAdapter]) => [adapterId, sorted(ofAdapter)]))
      for (const pool of pools.values())
        book(entries, evidenceEntries(pool, clusters.get(pool.adapterId)!, inputs), entryKey, ['amount'])
      const lines = sorted(entries).filter(({ amount }) => amount !== 0n)
      return { lines, charges: sorted(charges), sums: sorted(clusters).flat() }
    },
  }
}

export const calculateFromSet = (receipts: readonly Receipt[], inputs: EpochInputs): Accounts => {
  const calculator = setCalculator(inputs)
  calculator.add(receipts)
  return calculator.finish()
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

const poolOf = ({ billing, attribution }: Receipt): EvidencePool => ({
  adapterId: billing.adapterId,
  units: BigInt(attribution.pools.provenance) + BigInt(attribution.pools.influence),
  datanets: billing.datanets,
})

/** Contributors' lines of one adapter, and what is left of its evidence pools for the treasuries. */
const evidenceEntries = (
  { adapterId, units, datanets }: EvidencePool,
  sums: ClusterSum[],
  inputs: EpochInputs,
): Entry[] => {
  const byContributor = Map.groupBy(sums, ({ contributor }) => contributor)
  const contributors = inputs.accounts.map(({ accountId }) => accountId).filter((account) => byContributor.has(account))
  const earned = contributors.map((account) =>
    total(byContributor.get(account)!.map(({ provenance, influence }) => provenance + positive(influence))),
  )
  const amounts = hamilton(units, [...earned, units * FINE - total(earned)])
  const left = hamilton(amounts[contributors.length]!, trained(datanets))
  return [
    ...contributors.map((payee, i): Entry => ({ adapterId, as: 'contributor', payee, amount: amounts[i]! })),
    ...datanets.map(({ policy: { residual } }, i): Entry => {
      const payee = residual.to === 'refund' ? inputs.treasury : residual.payee
      return { adapterId, as: 'treasury', payee, amount: left[i]! }
    }),
  ]
}

type Joined = Credit & { bits: bigint; score: bigint; withheld: boolean }
type Credit = { cluster: string; contributor: string; datanetId: string }

/** Both lists of evidence as one table, a row a cluster. */
const joined = ({ provenance, influence }: Receipt['attribution']): Joined[] => {
  const rows = new Map<string, Joined>()
  for (const { cluster, contributor, datanetId, bits, quarantined } of provenance)
    rows.set(cluster, {
      cluster,
      contributor,
      datanetId,
      bits: BigInt(bits),
      score: 0n,
      withheld: quarantined === true,
    })
  for (const { cluster, contributor, datanetId, score, quarantined } of influence) {
    const row = rows.get(cluster)
    if (row) {
      row.score = BigInt(score)
      row.withheld ||= quarantined === true
    } else
      rows.set(cluster, {
        cluster,
        contributor,
        datanetId,
        bits: 0n,
        score: BigInt(score),
        withheld: quarantined === true,
      })
  }
  return [...rows.values()]
}

/** Effect of one receipt on every cluster that is neither the payer's nor of a linked account, fine units. */
export const effectsOfReceipt = ({ billing, attribution }: Receipt): ClusterSum[] => {
  const { adapterId } = billing
  const finePool = { provenance: fine(attribution.pools.provenance), influence: fine(attribution.pools.influence) }
  const all = finePool.provenance + finePool.influence + fine(attribution.pools.residual)
  const caps = new Map(
    billing.datanets.map(({ id, policy }) => [id, (all * BigInt(policy.capPerClusterBps)) / 10_000n]),
  )
  const linked = new Set([billing.payer, ...billing.linkedToPayer])
  const rows = joined(attribution)
  const covered = total(rows.map(({ bits }) => bits))
  const gains = total(rows.map(({ score }) => positive(score)))
  const losses = gains - total(rows.map(({ score }) => score))
  const scale = most(gains, losses)
  return rows
    .filter(({ contributor, withheld }) => !withheld && !linked.has(contributor))
    .map(({ cluster, contributor, datanetId, bits, score }) => {
      const cap = caps.get(datanetId)!
      const provenance = bits === 0n ? 0n : least(cap, (finePool.provenance * bits) / covered)
      const influence =
        score === 0n
          ? 0n
          : score > 0n
            ? least(cap - provenance, (finePool.influence * score) / gains)
            : -least(cap, (finePool.influence * -score) / scale)
      return { adapterId, cluster, contributor, provenance, influence }
    })
}

/** Digits of whole units in fine ones. */
const fine = (digits: string): bigint => BigInt(digits) * FINE

const entryKey = ({ adapterId, as, payee }: Entry) => `${adapterId} ${as} ${payee}`

/** Adds facts to a table that has one row a key: the fields named are summed. */
const book = <Field extends string, Fact extends Record<Field, bigint>>(
  table: Map<string, Fact>,
  facts: readonly Fact[],
  keyOf: (fact: Fact) => string,
  fields: readonly Field[],
): void => {
  for (const fact of facts) {
    const key = keyOf(fact)
    const row = table.get(key)
    if (!row) table.set(key, { ...fact })
    else for (const field of fields) row[field] = (row[field] + fact[field]) as Fact[Field]
  }
}

/** As `book` does, for the table that is written most: fields by name are faster. */
const bookEffect = (table: Map<string, ClusterSum>, effect: ClusterSum): void => {
  const row = table.get(effect.cluster)
  if (!row) table.set(effect.cluster, effect)
  else {
    row.provenance += effect.provenance
    row.influence += effect.influence
  }
}

/** Rows by their keys: ids and capacities have neither blanks nor capitals, so the text orders them field by field. */
const sorted = <Row>(table: Map<string, Row>): Row[] =>
  [...table].sort(([a], [b]) => byText(a, b)).map(([, row]) => row)

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

/** Largest remainder: one unit more for each of the largest, in their order, the earliest first in a tie. */
export const hamilton = (amount: bigint, weights: readonly bigint[]): bigint[] => {
  const whole = total(weights)
  if (whole === 0n) return weights.map(() => 0n)
  const result = weights.map((weight) => (amount * weight) / whole)
  const left = Number(amount - total(result))
  if (left === 0) return result
  const open = weights.map((weight, i) => amount * weight - result[i]! * whole)
  const order = [...open.keys()].sort((a, b) => (open[a]! === open[b]! ? a - b : open[a]! > open[b]! ? -1 : 1))
  for (const winner of order.slice(0, left)) result[winner]! += 1n
  return result
}
