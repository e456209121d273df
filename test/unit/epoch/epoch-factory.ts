/** Builds valid receipts and epoch inputs for the tests, from small descriptions. */
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { cutPools } from '../../../functions/attribution/payout/pools.ts'
import { receiptShares } from '../../../functions/attribution/payout/receipt-shares.ts'
import type { Receipt } from '../../../functions/schema/receipt.ts'
import { type EpochInputs, termsDigest } from '../../../functions/settlement/epoch/inputs.ts'

const hex24 = (seed: string | number) => createHash('sha256').update(String(seed)).digest('hex').slice(0, 24)
export const account = (name: string | number) => `acc_${hex24(`account ${name}`)}`
const row = (name: string | number) => `row_${hex24(`row ${name}`)}`
const datanet = (name: string | number) => `dn_${hex24(`datanet ${name}`)}`
export const receiptId = (name: string | number) => `rcp_${hex24(`receipt ${name}`)}`
export const adapter = (name: string | number) =>
  createHash('sha256').update(`adapter ${name}`).digest('hex').slice(0, 32)
export const address = (name: string | number) =>
  `0x${createHash('sha256').update(`address ${name}`).digest('hex').slice(0, 40)}`
const digest = (text: string) => createHash('sha256').update(text).digest('hex')

type Datanets = Receipt['billing']['datanets']

export interface ReceiptPlan {
  name: string | number
  payer?: string
  adapter?: string
  owner?: string
  datanets?: { name: string; tokens: number; treasury?: string; capBps?: number }[]
  prompt?: number
  completion?: number
  price?: [bigint, bigint]
  split?: { owner: number; stakers: number; contributors: number; stakersPayee?: string }
  platformFee?: bigint
  confidence?: number
  status?: Receipt['attribution']['status']
  linked?: string[]
  totalBits?: bigint
  /** [cluster, contributor, bits, datanet index] */
  provenance?: [string, string, bigint, number?][]
  influence?: [string, string, bigint, number?][]
  epoch?: number
  sequence?: number
}

const datanetsOf = (plan: ReceiptPlan): Datanets =>
  (plan.datanets ?? [{ name: 'law', tokens: 100 }]).map(({ name, tokens, treasury, capBps }) => ({
    id: datanet(name),
    version: 1,
    root: digest(name),
    trainedTokens: tokens,
    policy: {
      residual:
        treasury === undefined ? { to: 'refund' as const } : { to: 'treasury' as const, payee: account(treasury) },
      maxClusters: 8,
      minSpanBytes: 32,
      capPerClusterBps: capBps ?? 10_000,
      capBitsPerToken: 16,
    },
  }))

export const makeReceipt = (plan: ReceiptPlan): Receipt => {
  const datanets = datanetsOf(plan)
  const split = plan.split ?? { owner: 2000, stakers: 0, contributors: 8000 }
  const [input, output] = plan.price ?? [10n ** 15n, 2n * 10n ** 15n]
  const prompt = plan.prompt ?? 100
  const completion = plan.completion ?? 50
  const net = (BigInt(prompt) * input + BigInt(completion) * output + 999n) / 1000n
  const platformFee = plan.platformFee ?? net / 50n
  const status = plan.status ?? 'full'
  const confidence = plan.confidence ?? 1 << 19
  const credit = <T extends object>([cluster, contributor, , at = 0]: [string, string, bigint, number?], rest: T) => ({
    datanetId: datanets[at]!.id,
    cluster: row(cluster),
    contributor: account(contributor),
    ...rest,
  })
  const provenance = (plan.provenance ?? []).map((entry) => credit(entry, { bits: entry[2] }))
  const influence = (plan.influence ?? []).map((entry) => credit(entry, { score: entry[2] }))
  const coveredBits = provenance.reduce((sum, { bits }) => sum + bits, 0n)
  const totalBits = plan.totalBits ?? coveredBits * 2n
  const scored = status === 'full' || (status === 'incomplete' && influence.length > 0)
  const bps = { ownerBps: split.owner, stakersBps: split.stakers, contributorsBps: split.contributors }
  const pools = cutPools(net, bps, { totalBits, coveredBits, confidence: scored ? BigInt(confidence) : 0n })
  const linkedToPayer = (plan.linked ?? []).map(account)
  const payer = account(plan.payer ?? 'client')
  const { shares, unattributed } = receiptShares({ provenance, influence }, pools, {
    excluded: new Set([payer, ...linkedToPayer]),
    capPerClusterBps: (id) => datanets.find((d) => d.id === id)!.policy.capPerClusterBps,
  })
  const id = receiptId(plan.name)
  return {
    billing: {
      receiptId: id,
      payer,
      shard: 0,
      sequence: plan.sequence ?? Number.parseInt(id.slice(4, 14), 16) + 1,
      adapterId: adapter(plan.adapter ?? 'a'),
      adapterName: `test/${plan.adapter ?? 'a'}`,
      baseId: 'base-4m',
      datanets,
      owner: account(plan.owner ?? 'builder'),
      split: { ...bps, ...(split.stakersPayee ? { stakersPayee: account(split.stakersPayee) } : {}) },
      price: { inputPer1000: String(input), outputPer1000: String(output) },
      attribution: status === 'provenance-only' ? 'provenance' : 'full',
      confidence,
      linkedToPayer,
      requestDigest: digest(`request ${id}`),
      responseDigest: digest(`response ${id}`),
      promptTokens: prompt,
      completionTokens: completion,
      finishReason: 'stop',
      net: String(net),
      platformFee: String(platformFee),
      platformPayee: account('platform'),
      fee: String(net + platformFee),
      createdAt: '2026-01-01T00:00:00.000Z',
    },
    attribution: {
      status,
      methodDigest: digest('method'),
      missing: [],
      spans: [],
      totalBits: String(totalBits),
      provenance: provenance.map(({ bits, ...rest }) => ({ ...rest, bits: String(bits) })),
      influence: influence.map(({ score, ...rest }) => ({ ...rest, score: String(score) })),
      pools: {
        owner: String(pools.owner),
        stakers: String(pools.stakers),
        provenance: String(pools.provenance),
        influence: String(pools.influence),
        residual: String(pools.residual),
      },
      shares: shares.map(({ payee, amount }) => ({ payee, amount: String(amount) })),
      unattributed: String(unattributed),
    },
    epoch: plan.epoch ?? 1,
    completedAt: '2026-01-01T00:00:01.000Z',
  }
}

export const lineOf = (receipt: Receipt): string => canonicalize(receipt)!
export const logOf = (receipts: readonly Receipt[], name = 'batch.jsonl') => ({
  name,
  bytes: new Uint8Array(Buffer.from(receipts.map((receipt) => `${lineOf(receipt)}\n`).join(''))),
})

/** Inputs that fit the receipts: all their accounts in order of first mention, each with an address unless left out. */
export const inputsFor = (
  receipts: readonly Receipt[],
  change: Partial<EpochInputs> & { homeless?: string[] } = {},
): EpochInputs => {
  const { homeless = [], ...fields } = change
  const terms = new Map<string, Set<string>>()
  const accounts = new Set([account('treasury'), account('platform'), account('operator')])
  for (const { billing, attribution } of receipts) {
    const own = terms.get(billing.adapterId) ?? new Set()
    terms.set(billing.adapterId, own.add(termsDigest(billing)))
    for (const name of [billing.owner, billing.payer, billing.split.stakersPayee ?? billing.owner]) accounts.add(name)
    for (const { policy } of billing.datanets)
      if (policy.residual.to === 'treasury') accounts.add(policy.residual.payee)
    for (const { contributor } of [...attribution.provenance, ...attribution.influence]) accounts.add(contributor)
  }
  const without = new Set(homeless.map(account))
  return {
    format: 'openledger-epoch-inputs-1',
    epoch: 1,
    closedAt: '2026-01-02T00:00:00.000Z',
    previous: {
      epoch: 0,
      root: `0x${'0'.repeat(64)}`,
      total: '0',
      balances: null,
      unassigned: [],
      unassignedSpent: [],
    },
    treeDepth: 20,
    treasury: account('treasury'),
    operator: account('operator'),
    platform: account('platform'),
    adapters: [...terms].map(([adapterId, digests]) => ({ adapterId, terms: [...digests] })),
    accounts: [...accounts].map((accountId) =>
      without.has(accountId) ? { accountId } : { accountId, address: address(accountId) },
    ),
    ledger: {
      receipts: receipts.length,
      fees: String(receipts.reduce((sum, { billing }) => sum + BigInt(billing.fee), 0n)),
    },
    quarantined: [],
    ...fields,
  }
}

export const bytesOf = (inputs: EpochInputs) => new Uint8Array(Buffer.from(canonicalize(inputs)!))
