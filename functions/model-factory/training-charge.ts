import { createHash } from 'node:crypto'
import type { Hold } from '#ledger/hold'
import type { DatanetVersion } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import type { Adapter, Training } from '#schema/models'
import type { Billing } from '#schema/receipt'

/** Until the flow's first step a hold lasts this long: a start that died before the flow gives the money back. */
export const START_HOLD_SECONDS = 3600
/** Waiting for an instance, registering and hosting, on top of what the job itself may take. */
const FLOW_SECONDS = 86_400

export interface ChargePorts {
  claim(receiptId: string): Promise<boolean>
  unclaim(receiptId: string): Promise<void>
  findHold(accountId: string, receiptId: string): Promise<Hold | undefined>
  /** Reserves for START_HOLD_SECONDS. */
  reserve(hold: Omit<Hold, 'shard'>): Promise<Hold>
  extend(hold: Hold, seconds: number): Promise<boolean>
  release(hold: Hold): Promise<unknown>
  settle(hold: Hold, bill: (position: { shard: number; sequence: number }) => Billing): Promise<Billing>
}

type Terms = Pick<DatanetVersion, 'datanetId' | 'version' | 'root' | 'policy'>

/** The receipt of one attempt: a retry of a failed training is another receipt, a repeated event the same. */
export const trainingReceiptId = ({ id, attempt }: Pick<Training, 'id' | 'attempt'>): string =>
  `rcp_${createHash('sha256').update(`training|${id}|${attempt}`).digest('hex').slice(0, 24)}`

/** What the job may cost at most: its time limit, at the price of the start. */
export const worstCost = (maxSeconds: number, pricePerSecond: bigint): bigint => BigInt(maxSeconds) * pricePerSecond

/**
 * The money of a training (docs/decisions/060): its worst case is held from the owner's balance when it starts, kept while
 * the flow runs, and settled at SageMaker's billable seconds when the adapter can be asked. A failed attempt costs nothing.
 */
export class TrainingCharge {
  readonly #ports: ChargePorts
  constructor(ports: ChargePorts) {
    this.#ports = ports
  }

  /** True when this call made the hold, false when it was there. Throws `insufficient-balance`, `request-in-flight`. */
  async hold(training: Training): Promise<boolean> {
    const amount = BigInt(training.worstCost)
    const receiptId = trainingReceiptId(training)
    if (amount === 0n || (await this.#ports.findHold(training.owner, receiptId))) return false
    if (!(await this.#ports.claim(receiptId)))
      throw new OpenLedgerError('request-in-flight', 'This training is being started by another request.', {
        retryAfter: 5,
      })
    try {
      // A request that died may have held it, just before its claim grew old.
      if (await this.#ports.findHold(training.owner, receiptId)) return false
      await this.#ports.reserve({ receiptId, accountId: training.owner, amount })
      return true
    } catch (error) {
      await this.#ports.unclaim(receiptId)
      if (!(error instanceof OpenLedgerError) || error.code !== 'insufficient-balance') throw error
      throw new OpenLedgerError(
        'insufficient-balance',
        `The balance does not cover ${amount} (units of 1e-18 OPEN), the most that the training may cost: deposit to the escrow, or lower limits.maxSeconds or limits.maxCost.`,
        { param: 'limits', cause: error },
      )
    }
  }

  /** From now on the hold lasts as long as the flow can. Throws `gone` when it was swept before the flow began. */
  async keep(training: Training, spot: boolean): Promise<void> {
    if (training.worstCost === '0') return
    const hold = await this.#ports.findHold(training.owner, trainingReceiptId(training))
    const seconds = training.recipe.limits.maxSeconds * (spot ? 2 : 1) + FLOW_SECONDS
    if (!hold || !(await this.#ports.extend(hold, seconds)))
      throw new OpenLedgerError('gone', 'The money held for this training was given back before it began: retry it.')
  }

  /** Gives the whole hold back. Nothing happens when it is settled or was given back before. */
  async release(training: Training): Promise<void> {
    const receiptId = trainingReceiptId(training)
    const hold = await this.#ports.findHold(training.owner, receiptId)
    if (hold) await this.#ports.release(hold)
    await this.#ports.unclaim(receiptId)
  }

  /** Ends the hold with the receipt of the training; repeated, it returns the receipt that is written. */
  async settle(
    training: Training,
    adapter: Adapter,
    terms: readonly Terms[],
    billableSeconds: number,
    platform: { payee: string; at: string },
  ): Promise<Billing | undefined> {
    if (training.worstCost === '0') return undefined
    const receiptId = trainingReceiptId(training)
    const { owner: accountId, worstCost } = training
    const found = await this.#ports.findHold(accountId, receiptId)
    return this.#ports.settle(found ?? { receiptId, accountId, shard: 0, amount: BigInt(worstCost) }, (position) =>
      trainingBill(training, adapter, terms, billableSeconds, { ...platform, ...position }),
    )
  }
}

/**
 * The bill of a training: no tokens, so nothing to split; the whole fee is the platform's. What SageMaker measured beyond
 * the time limit (it stops a job some seconds late) is not charged.
 */
const trainingBill = (
  training: Training,
  adapter: Adapter,
  terms: readonly Terms[],
  billableSeconds: number,
  { payee, at, shard, sequence }: { payee: string; at: string; shard: number; sequence: number },
): Billing => {
  const seconds = Math.min(billableSeconds, training.recipe.limits.maxSeconds)
  const fee = (BigInt(seconds) * BigInt(training.pricePerSecond)).toString()
  const digest = (text: string) => createHash('sha256').update(text).digest('hex')
  return {
    receiptId: trainingReceiptId(training),
    payer: training.owner,
    shard,
    sequence,
    adapterId: adapter.id,
    adapterName: adapter.name,
    baseId: adapter.baseId,
    datanets: terms.map(({ datanetId, version, root, policy }, i) => ({
      id: datanetId,
      version,
      root,
      trainedTokens: adapter.datanets[i]!.trainedTokens,
      policy,
    })),
    owner: adapter.owner,
    split: adapter.split,
    price: adapter.price,
    attribution: adapter.attribution,
    confidence: adapter.confidence,
    linkedToPayer: [training.owner],
    requestDigest: digest(JSON.stringify(training.recipe)),
    responseDigest: digest(adapter.id),
    promptTokens: 0,
    completionTokens: 0,
    finishReason: 'stop',
    training: { trainingId: training.id, attempt: training.attempt, seconds, pricePerSecond: training.pricePerSecond },
    net: '0',
    platformFee: fee,
    platformPayee: payee,
    fee,
    createdAt: at,
  }
}
