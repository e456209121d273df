import type { Receipt } from '#schema/receipt'
import type { EpochInputs } from './inputs.ts'
import { termsDigest } from './inputs.ts'
import type { LoggedReceipt } from './receipt-log.ts'
import { EpochRefused, type RefusalCode } from './refusal.ts'

type Check = (receipt: Receipt) => string | undefined

/**
 * Checks each receipt against the epoch's inputs and against itself before any calculator sees it: known adapter on
 * known terms, known accounts, fee and pools as the rules give them, evidence that belongs together. At the end count
 * and fee sum must be the ledger's. Throws EpochRefused naming the receipt; `finish` names the difference.
 */
export const receiptChecker = (inputs: EpochInputs) => {
  const terms = new Map(inputs.adapters.map(({ adapterId, terms }) => [adapterId, new Set(terms)]))
  const accounts = new Set(inputs.accounts.map(({ accountId }) => accountId))
  const owners = new Map<string, Map<string, string>>()
  const digests = new Map<string, string>()
  const datanets = new Map<string, string>()
  const checks: [RefusalCode, Check][] = [
    [
      'unknown-adapter',
      ({ billing }) =>
        terms.has(billing.adapterId) ? undefined : `adapter ${billing.adapterId} is not in epoch-inputs.json`,
    ],
    [
      'unknown-terms',
      ({ billing }) =>
        terms.get(billing.adapterId)?.has(knownDigest(billing, digests))
          ? undefined
          : 'owner, split, price, confidence, attribution or Datanets are not those of the adapter',
    ],
    ['unknown-account', (receipt) => missingAccount(receipt, accounts)],
    ['wrong-fee', wrongFee],
    ['wrong-evidence', wrongEvidence],
    ['wrong-pools', wrongPools],
    ['wrong-shares', wrongShares],
    ['unknown-terms', ({ billing }) => otherDatanets(billing, datanets)],
    ['cluster-owner-differs', (receipt) => otherOwner(receipt, owners)],
  ]
  let count = 0
  let fees = 0n
  return {
    check({ receipt, where }: LoggedReceipt): void {
      for (const [code, check] of checks) {
        const detail = check(receipt)
        if (detail) throw new EpochRefused(code, detail, { receiptId: receipt.billing.receiptId, where })
      }
      count++
      fees += BigInt(receipt.billing.fee)
    },
    finish(): void {
      const { receipts, fees: expected } = inputs.ledger
      if (count !== receipts)
        throw new EpochRefused('count-differs', `the log holds ${count} receipts, the ledger counted ${receipts}`)
      if (String(fees) !== expected)
        throw new EpochRefused('fees-differ', `fees in the log sum to ${fees}, in the ledger to ${expected}`)
    },
  }
}

/** A split may change between epochs, the Datanets of an adapter never: its residual follows them as one. */
const otherDatanets = ({ adapterId, datanets }: Receipt['billing'], known: Map<string, string>): string | undefined => {
  const text = JSON.stringify(datanets)
  const before = known.get(adapterId) ?? text
  known.set(adapterId, before)
  return before === text ? undefined : `Datanets of adapter ${adapterId} differ from an earlier line`
}

const missingAccount = ({ billing, attribution }: Receipt, accounts: ReadonlySet<string>): string | undefined => {
  const named = [billing.payer, billing.owner, billing.platformPayee, billing.split.stakersPayee ?? billing.owner]
  for (const { policy } of billing.datanets) if (policy.residual.to === 'treasury') named.push(policy.residual.payee)
  for (const { contributor } of [...attribution.provenance, ...attribution.influence]) named.push(contributor)
  const unknown = named.find((account) => !accounts.has(account))
  return unknown && `account ${unknown} is not in epoch-inputs.json`
}

const wrongFee = ({ billing }: Receipt): string | undefined => {
  if (billing.training) {
    const { seconds, pricePerSecond } = billing.training
    if (billing.promptTokens + billing.completionTokens > 0) return 'a training has tokens'
    const platformFee = BigInt(seconds) * BigInt(pricePerSecond)
    if (BigInt(billing.platformFee) !== platformFee)
      return `platformFee is ${billing.platformFee}, seconds and price give ${platformFee}`
  }
  const thousandths =
    BigInt(billing.promptTokens) * BigInt(billing.price.inputPer1000) +
    BigInt(billing.completionTokens) * BigInt(billing.price.outputPer1000)
  const net = thousandths / 1000n + (thousandths % 1000n === 0n ? 0n : 1n)
  if (BigInt(billing.net) !== net) return `net is ${billing.net}, tokens and price give ${net}`
  const fee = net + BigInt(billing.platformFee)
  return BigInt(billing.fee) === fee ? undefined : `fee is ${billing.fee}, net and platform fee give ${fee}`
}

const wrongEvidence = ({ billing, attribution }: Receipt): string | undefined => {
  const datanets = new Set(billing.datanets.map(({ id }) => id))
  if (datanets.size === 0) return 'the adapter names no Datanet'
  if (datanets.size !== billing.datanets.length) return 'a Datanet stands twice'
  for (const [name, list] of [
    ['provenance', attribution.provenance],
    ['influence', attribution.influence],
  ] as const) {
    const foreign = list.find(({ datanetId }) => !datanets.has(datanetId))
    if (foreign) return `${name}: cluster ${foreign.cluster} is of a Datanet that the adapter was not trained on`
    if (new Set(list.map(({ cluster }) => cluster)).size !== list.length) return `${name}: a cluster stands twice`
  }
  let covered = 0n
  for (const { bits, cluster } of attribution.provenance) {
    if (BigInt(bits) <= 0n) return `provenance: cluster ${cluster} has no positive bits`
    covered += BigInt(bits)
  }
  if (BigInt(attribution.totalBits) < covered)
    return `credited bits ${covered} exceed the output's ${attribution.totalBits}`
  if (attribution.status === 'unattributed' && attribution.provenance.length + attribution.influence.length > 0)
    return 'unattributed, yet with evidence'
  if (attribution.status === 'provenance-only' && attribution.influence.length > 0)
    return 'provenance-only, yet with influence'
  return undefined
}

const wrongPools = ({ billing, attribution }: Receipt): string | undefined => {
  const net = BigInt(billing.net)
  const expected = {
    owner: share(net, billing.split.ownerBps),
    stakers: share(net, billing.split.stakersBps),
    provenance: 0n,
    influence: 0n,
  }
  const contributors = share(net, billing.split.contributorsBps)
  const total = BigInt(attribution.totalBits)
  const covered = attribution.provenance.reduce((sum, { bits }) => sum + BigInt(bits), 0n)
  if (total > 0n) expected.provenance = (contributors * covered) / total
  // Where a part of the evidence failed, influence may be the part that ran, or the one that did not.
  const scored =
    attribution.status === 'full' || (attribution.status === 'incomplete' && attribution.pools.influence !== '0')
  if (total > 0n && scored)
    expected.influence = ((contributors - expected.provenance) * BigInt(billing.confidence)) >> 20n
  const { pools } = attribution
  for (const name of ['owner', 'stakers', 'provenance', 'influence'] as const)
    if (BigInt(pools[name]) !== expected[name])
      return `pools.${name} is ${pools[name]}, the rule gives ${expected[name]}`
  const residual = net - expected.owner - expected.stakers - expected.provenance - expected.influence
  return BigInt(pools.residual) === residual
    ? undefined
    : `pools.residual is ${pools.residual}, the rest is ${residual}`
}

const share = (net: bigint, bps: number) => (net * BigInt(bps)) / 10_000n

const wrongShares = ({ billing, attribution }: Receipt): string | undefined => {
  const { pools, shares, unattributed } = attribution
  const shown = shares.reduce((sum, { amount }) => sum + BigInt(amount), BigInt(unattributed))
  const pool = BigInt(billing.net) - BigInt(pools.owner) - BigInt(pools.stakers)
  return shown === pool ? undefined : `shares and unattributed sum to ${shown}, the contributors' pool is ${pool}`
}

/** Canonical receipts of one adapter write their terms alike: the digest is made once for each text. */
const knownDigest = (billing: Receipt['billing'], digests: Map<string, string>): string => {
  const { attribution, confidence, datanets, owner, price, split } = billing
  const text = JSON.stringify([attribution, confidence, datanets, owner, price, split])
  const known = digests.get(text) ?? termsDigest(billing)
  digests.set(text, known)
  return known
}

const otherOwner = (
  { billing, attribution }: Receipt,
  adapters: Map<string, Map<string, string>>,
): string | undefined => {
  const owners = adapters.get(billing.adapterId) ?? new Map<string, string>()
  adapters.set(billing.adapterId, owners)
  for (const list of [attribution.provenance, attribution.influence])
    for (const { cluster, contributor } of list) {
      const before = owners.get(cluster)
      if (before === undefined) owners.set(cluster, contributor)
      else if (before !== contributor)
        return `cluster ${cluster} is of ${contributor} here, of ${before} in an earlier line`
    }
  return undefined
}
