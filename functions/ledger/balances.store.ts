import { type DynamoDBDocumentClient, GetCommand, TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { OpenLedgerError } from '#schema/errors'
import type { Billing } from '#schema/receipt'
import type { Hold } from './hold.ts'
import { KeyLimits } from './key-limits.store.ts'
import { BALANCE_SHARDS, ledgerKeys, pending, shardOf } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'
import { settleWrites } from './settle-writes.ts'
import { Shards } from './shards.store.ts'
import { cancellationReasons, FAILED, jitter, throughContention } from './transactions.ts'

const MAX_OPEN_HOLDS = 500n
/** Settles of one shard queue for its next sequence: one wins a round, so the last of many needs many rounds. */
const SETTLE_ATTEMPTS = 100
const POOL_ROUNDS = 8

/**
 * Prepaid balances, in K shards an account. Open holds are a map inside the shard, so reserving is one conditional
 * write; settling is one transaction with the receipt, which is the outbox of everything that follows.
 */
export class Balances {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  readonly #shards: Shards
  readonly #limits: KeyLimits
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
    this.#shards = new Shards(table, client)
    this.#limits = new KeyLimits(table, client)
  }

  /** Sums over the shards, in units of 1e-18 OPEN. */
  async balance(accountId: string): Promise<{ available: bigint; held: bigint; spent: bigint }> {
    const sum = { available: 0n, held: 0n, spent: 0n }
    for (const shard of await this.#shards.all(accountId)) {
      sum.available += shard.available
      sum.spent += shard.spent
      for (const hold of Object.values(shard.holds)) sum.held += hold.amount
    }
    return sum
  }

  /**
   * Takes `amount` out of one shard and keeps it as a hold until `expires` (unix seconds). Every shard is tried, then
   * the shards are pooled into one, before `insufficient-balance` is said.
   */
  async reserve(request: Omit<Hold, 'shard'> & { expires: number; now: number }): Promise<Hold> {
    const first = shardOf(request.receiptId, BALANCE_SHARDS)
    await this.#limits.count(request)
    for (let round = 0; round < POOL_ROUNDS; round++) {
      for (let i = 0; i < BALANCE_SHARDS; i++) {
        const shard = (first + i) % BALANCE_SHARDS
        if (await this.#reserveIn(shard, request)) return { ...request, shard }
      }
      if (await this.#shards.pool(request.accountId, first, request.amount)) continue
      await this.#limits.giveBack(request, request.amount)
      throw new OpenLedgerError(
        'insufficient-balance',
        `The balance does not cover ${request.amount} (units of 1e-18 OPEN): deposit to the escrow or lower max_tokens.`,
      )
    }
    // The money is there, but others took it out of the pooled shard each time, or every shard is full of holds.
    await this.#limits.giveBack(request, request.amount)
    throw new OpenLedgerError('overloaded', 'The account is very busy; try again.', { retryAfter: 1 })
  }

  async #reserveIn(shard: number, request: Omit<Hold, 'shard'> & { expires: number }): Promise<boolean> {
    try {
      await throughContention(() =>
        this.#client.send(
          new UpdateCommand({
            TableName: this.#table,
            Key: ledgerKeys.balance(request.accountId, shard),
            UpdateExpression:
              'SET available = available - :amount, holds.#r = :hold, PENDINGPK = :waiting, PENDINGSK = :account',
            ConditionExpression:
              'attribute_exists(PK) AND available >= :amount AND attribute_not_exists(holds.#r) AND size(holds) < :max',
            ExpressionAttributeNames: { '#r': request.receiptId },
            ExpressionAttributeValues: {
              ':amount': request.amount,
              ':hold': {
                amount: request.amount,
                expires: BigInt(request.expires),
                ...(request.key?.budget === undefined ? {} : { keyId: request.key.id }),
              },
              ':max': MAX_OPEN_HOLDS,
              ':waiting': pending.holds(request.accountId),
              ':account': `${request.accountId}#${shard}`,
            },
          }),
        ),
      )
      return true
    } catch (error) {
      if ((error as Error).name === 'ConditionalCheckFailedException') return false
      throw error
    }
  }

  /**
   * Ends a hold with a receipt: what was not used goes back, the sequence of the shard grows by one without gaps, and
   * the receipt waits for attribution. Repeated with the same receipt it does nothing and returns what is written.
   * Throws `gone` when the hold was swept.
   */
  async settle(hold: Hold, bill: (position: { shard: number; sequence: number }) => Billing): Promise<Billing> {
    for (let attempt = 0; attempt < SETTLE_ATTEMPTS; attempt++) {
      if (attempt > 0) await jitter(attempt)
      const shard = await this.#shards.one(hold.accountId, hold.shard)
      const held = shard?.holds[hold.receiptId]
      const billing = bill({ shard: hold.shard, sequence: Number((shard?.sequence ?? 0n) + 1n) })
      const fee = BigInt(billing.fee)
      if (!shard || !held) return this.#settledBefore(hold)
      if (fee > held.amount)
        throw new OpenLedgerError('internal', `fee ${fee} above hold ${held.amount} of ${hold.receiptId}`)
      try {
        await throughContention(() =>
          this.#client.send(
            new TransactWriteCommand({
              TransactItems: settleWrites(this.#table, hold, { held: held.amount, sequence: shard.sequence, billing }),
            }),
          ),
        )
        await this.#limits.giveBack(hold, held.amount - fee)
        return billing
      } catch (error) {
        if (!cancellationReasons(error)?.includes(FAILED)) throw error // the sequence moved, or it is settled: look again
      }
    }
    throw new OpenLedgerError('overloaded', 'The account is very busy; try again.', { retryAfter: 1 })
  }

  async #settledBefore(hold: Hold): Promise<Billing> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: ledgerKeys.receipt(hold.receiptId), ConsistentRead: true }),
    )
    if (!Item) throw new OpenLedgerError('gone', `The hold of ${hold.receiptId} expired before it was settled.`)
    return JSON.parse(Item['billing'] as string) as Billing
  }

  /** Gives a hold back whole. True when it was there. */
  async release(hold: Pick<Hold, 'accountId' | 'shard' | 'receiptId' | 'key'>, amount: bigint): Promise<boolean> {
    try {
      await throughContention(() =>
        this.#client.send(
          new UpdateCommand({
            TableName: this.#table,
            Key: ledgerKeys.balance(hold.accountId, hold.shard),
            UpdateExpression: 'SET available = available + :amount REMOVE holds.#r',
            ConditionExpression: 'attribute_exists(holds.#r) AND holds.#r.amount = :amount',
            ExpressionAttributeNames: { '#r': hold.receiptId },
            ExpressionAttributeValues: { ':amount': amount },
          }),
        ),
      )
      await this.#limits.giveBack(hold, amount)
      return true
    } catch (error) {
      if ((error as Error).name === 'ConditionalCheckFailedException') return false
      throw error
    }
  }
}
