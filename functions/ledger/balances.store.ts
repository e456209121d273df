import {
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  QueryCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb'
import { OpenLedgerError } from '#schema/errors'
import type { Billing } from '#schema/receipt'
import { BALANCE_SHARDS, ledgerKeys, pending, shardOf } from './keys.ts'
import { allPages, ledgerClient } from './ledger-table.store.ts'
import { addToShards } from './shard-writes.ts'
import { cancellationReasons, jitter, throughContention } from './transactions.ts'

/** Money set aside for one request: worst case, in one shard of the balance, until it is settled, released or swept. */
export interface Hold {
  receiptId: string
  accountId: string
  shard: number
  amount: bigint
  key?: { id: string; budget?: bigint; ratePerMinute?: number } | undefined
}
interface Shard {
  available: bigint
  sequence: bigint
  spent: bigint
  holds: Record<string, { amount: bigint; expires: bigint }>
}
const MAX_OPEN_HOLDS = 500n
/** Settles of one shard queue for its next sequence: one wins a round, so the last of many needs many rounds. */
const SETTLE_ATTEMPTS = 100
const POOL_ROUNDS = 8
const FAILED = 'ConditionalCheckFailed'

/**
 * Prepaid balances, in K shards an account. Open holds are a map inside the shard, so reserving is one conditional
 * write; settling is one transaction with the receipt, which is the outbox of everything that follows.
 */
export class Balances {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  /** Credits once per reference (a deposit's chainId:txHash:logIndex, or the operator's own). False when it was done before. */
  async credit(accountId: string, amount: bigint, reference: string): Promise<boolean> {
    try {
      await throughContention(() =>
        this.#client.send(
          new TransactWriteCommand({
            TransactItems: [
              {
                Put: {
                  TableName: this.#table,
                  Item: { ...ledgerKeys.credit(reference), accountId, amount },
                  ConditionExpression: 'attribute_not_exists(PK)',
                },
              },
              ...addToShards(this.#table, accountId, amount),
            ],
          }),
        ),
      )
      return true
    } catch (error) {
      if (cancellationReasons(error)?.[0] === FAILED) return false
      throw error
    }
  }

  /** Sums over the shards, in units of 1e-18 OPEN. */
  async balance(accountId: string): Promise<{ available: bigint; held: bigint; spent: bigint }> {
    const sum = { available: 0n, held: 0n, spent: 0n }
    for (const shard of await this.#shards(accountId)) {
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
    if (request.key?.budget !== undefined || request.key?.ratePerMinute !== undefined) await this.#withinLimits(request)
    for (let round = 0; round < POOL_ROUNDS; round++) {
      for (let i = 0; i < BALANCE_SHARDS; i++) {
        const shard = (first + i) % BALANCE_SHARDS
        if (await this.#reserveIn(shard, request)) return { ...request, shard }
      }
      if (await this.#pool(request.accountId, first, request.amount)) continue
      await this.#returnBudget(request, request.amount)
      throw new OpenLedgerError(
        'insufficient-balance',
        `The balance does not cover ${request.amount} (units of 1e-18 OPEN): deposit to the escrow or lower max_tokens.`,
      )
    }
    // The money is there, but others took it out of the pooled shard each time, or every shard is full of holds.
    await this.#returnBudget(request, request.amount)
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

  /** Moves what the other shards have into one. False when all of them together do not have enough. */
  async #pool(accountId: string, target: number, amount: bigint): Promise<boolean> {
    const shards = await this.#shards(accountId)
    if (shards.reduce((sum, shard) => sum + shard.available, 0n) < amount || shards.length === 0) return false
    let missing = amount - (shards[target]?.available ?? 0n)
    for (const [from, shard] of shards.entries()) {
      const moved = shard.available < missing ? shard.available : missing
      if (from === target || moved <= 0n) continue
      const change = (index: number, expression: string, condition: string) => ({
        Update: {
          TableName: this.#table,
          Key: ledgerKeys.balance(accountId, index),
          UpdateExpression: expression,
          ConditionExpression: condition,
          ExpressionAttributeValues: { ':moved': moved },
        },
      })
      try {
        await throughContention(() =>
          this.#client.send(
            new TransactWriteCommand({
              TransactItems: [
                change(from, 'SET available = available - :moved', 'available >= :moved'),
                change(target, 'SET available = available + :moved', 'available >= :moved OR available < :moved'),
              ],
            }),
          ),
        )
        missing -= moved
      } catch (error) {
        if (!cancellationReasons(error)) throw error // another request took it meanwhile: the next round looks again
      }
    }
    return true
  }

  /**
   * Ends a hold with a receipt: what was not used goes back, the sequence of the shard grows by one without gaps, and
   * the receipt waits for attribution. Repeated with the same receipt it does nothing and returns what is written.
   * Throws `gone` when the hold was swept.
   */
  async settle(hold: Hold, bill: (position: { shard: number; sequence: number }) => Billing): Promise<Billing> {
    for (let attempt = 0; attempt < SETTLE_ATTEMPTS; attempt++) {
      if (attempt > 0) await jitter(attempt)
      const shard = await this.#shard(hold.accountId, hold.shard)
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
              TransactItems: this.#settlement(hold, held.amount, shard.sequence, billing, fee),
            }),
          ),
        )
        await this.#returnBudget(hold, held.amount - fee)
        return billing
      } catch (error) {
        if (!cancellationReasons(error)?.includes(FAILED)) throw error // the sequence moved, or it is settled: look again
      }
    }
    throw new OpenLedgerError('overloaded', 'The account is very busy; try again.', { retryAfter: 1 })
  }

  #settlement(hold: Hold, held: bigint, sequence: bigint, billing: Billing, fee: bigint) {
    return [
      {
        Update: {
          TableName: this.#table,
          Key: ledgerKeys.balance(hold.accountId, hold.shard),
          UpdateExpression: 'SET available = available + :refund, spent = spent + :fee, #seq = :next REMOVE holds.#r',
          ConditionExpression: 'attribute_exists(holds.#r) AND #seq = :seq',
          ExpressionAttributeNames: { '#r': hold.receiptId, '#seq': 'sequence' },
          ExpressionAttributeValues: { ':refund': held - fee, ':fee': fee, ':seq': sequence, ':next': sequence + 1n },
        },
      },
      {
        Put: {
          TableName: this.#table,
          Item: {
            ...ledgerKeys.receipt(hold.receiptId),
            state: 'pending',
            billing: JSON.stringify(billing),
            fee,
            GSI1PK: `RECEIPTS#${hold.accountId}`,
            GSI1SK: `${billing.createdAt}#${hold.receiptId}`,
            PENDINGPK: pending.attribution(hold.receiptId),
            PENDINGSK: billing.createdAt,
          },
          ConditionExpression: 'attribute_not_exists(PK)',
        },
      },
    ]
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
      await this.#returnBudget(hold, amount)
      return true
    } catch (error) {
      if ((error as Error).name === 'ConditionalCheckFailedException') return false
      throw error
    }
  }

  /** Frees the holds of one shard that expired before `now`; returns how many. */
  async sweep(accountId: string, shard: number, now: number): Promise<number> {
    const state = await this.#shard(accountId, shard)
    let freed = 0
    for (const [receiptId, hold] of Object.entries(state?.holds ?? {}))
      if (hold.expires < BigInt(now)) {
        const keyId = (hold as { keyId?: string }).keyId
        if (
          await this.release(
            { accountId, shard, receiptId, key: keyId ? { id: keyId, budget: 0n } : undefined },
            hold.amount,
          )
        )
          freed++
      }
    if (state && Object.keys(state.holds).length === freed) await this.#forget(accountId, shard)
    return freed
  }

  /** Shards that have, or lately had, open holds. */
  async waiting(partition: number): Promise<{ accountId: string; shard: number }[]> {
    const items = await allPages(this.#client, {
      TableName: this.#table,
      IndexName: 'PENDING',
      KeyConditionExpression: 'PENDINGPK = :p',
      ExpressionAttributeValues: { ':p': `HOLDS#${partition}` },
    })
    return items.map((item) => ({
      accountId: String(item['PK']).slice('BALANCE#'.length),
      shard: Number(String(item['SK']).slice('SHARD#'.length)),
    }))
  }

  async #forget(accountId: string, shard: number): Promise<void> {
    const remove = new UpdateCommand({
      TableName: this.#table,
      Key: ledgerKeys.balance(accountId, shard),
      UpdateExpression: 'REMOVE PENDINGPK, PENDINGSK',
      ConditionExpression: 'size(holds) = :none',
      ExpressionAttributeValues: { ':none': 0n },
    })
    await this.#client.send(remove).catch((error: Error) => {
      if (error.name !== 'ConditionalCheckFailedException') throw error
    })
  }

  /** Counts the request against the key's budget and rate before any money moves. */
  async #withinLimits(request: Omit<Hold, 'shard'> & { now: number }): Promise<void> {
    const { id, budget, ratePerMinute } = request.key!
    const minute = Math.floor(request.now / 60)
    const items: NonNullable<TransactWriteCommandInput['TransactItems']> = []
    if (ratePerMinute !== undefined)
      items.push({
        Update: {
          TableName: this.#table,
          Key: ledgerKeys.minute(id, minute),
          UpdateExpression: 'ADD requests :one SET #ttl = :ttl',
          ConditionExpression: 'attribute_not_exists(requests) OR requests < :limit',
          ExpressionAttributeNames: { '#ttl': 'ttl' },
          ExpressionAttributeValues: {
            ':one': 1n,
            ':limit': BigInt(ratePerMinute),
            ':ttl': BigInt(request.now + 300),
          } as Record<string, bigint>,
        },
      })
    if (budget !== undefined)
      items.push({
        Update: {
          TableName: this.#table,
          Key: ledgerKeys.budget(id),
          UpdateExpression: 'ADD spent :amount',
          ConditionExpression: 'attribute_not_exists(spent) OR spent <= :room',
          ExpressionAttributeValues: { ':amount': request.amount, ':room': budget - request.amount } as Record<
            string,
            bigint
          >,
        },
      })
    if (budget !== undefined && request.amount > budget)
      throw new OpenLedgerError('budget-exceeded', 'The budget of this API key does not cover the request.')
    try {
      await throughContention(() => this.#client.send(new TransactWriteCommand({ TransactItems: items })))
    } catch (error) {
      const reasons = cancellationReasons(error)
      if (!reasons?.includes(FAILED)) throw error
      if (ratePerMinute !== undefined && reasons[0] === FAILED)
        throw new OpenLedgerError('rate-limited', `This API key may send ${ratePerMinute} requests a minute.`, {
          retryAfter: 60 - (request.now % 60),
        })
      throw new OpenLedgerError('budget-exceeded', 'The budget of this API key is spent.')
    }
  }

  async #returnBudget(hold: Pick<Hold, 'key'>, amount: bigint): Promise<void> {
    if (hold.key?.budget === undefined || amount === 0n) return
    await throughContention(() =>
      this.#client.send(
        new UpdateCommand({
          TableName: this.#table,
          Key: ledgerKeys.budget(hold.key!.id),
          UpdateExpression: 'ADD spent :back',
          ExpressionAttributeValues: { ':back': -amount },
        }),
      ),
    )
  }

  /**
   * Claims a receipt id for an Idempotency-Key for 24 hours; false when another request holds it. A claim older than
   * `staleAfter` seconds without a receipt belongs to a request that died, and is taken over; one with a receipt never is.
   */
  async claim(receiptId: string, now: number, staleAfter: number): Promise<boolean> {
    try {
      await throughContention(() =>
        this.#client.send(
          new TransactWriteCommand({
            TransactItems: [
              {
                Put: {
                  TableName: this.#table,
                  Item: { ...ledgerKeys.attempt(receiptId), claimedAt: BigInt(now), ttl: BigInt(now + 86_400) },
                  ConditionExpression: 'attribute_not_exists(PK) OR claimedAt < :stale',
                  ExpressionAttributeValues: { ':stale': BigInt(now - staleAfter) },
                },
              },
              {
                ConditionCheck: {
                  TableName: this.#table,
                  Key: ledgerKeys.receipt(receiptId),
                  ConditionExpression: 'attribute_not_exists(PK)',
                },
              },
            ],
          }),
        ),
      )
      return true
    } catch (error) {
      if (cancellationReasons(error)?.includes(FAILED)) return false
      throw error
    }
  }

  /** Gives a claim back: its request ended before anything was reserved or delivered, so the key may be used again. */
  async unclaim(receiptId: string): Promise<void> {
    await this.#client.send(new DeleteCommand({ TableName: this.#table, Key: ledgerKeys.attempt(receiptId) }))
  }

  async #shards(accountId: string): Promise<Shard[]> {
    const { Items = [] } = await this.#client.send(
      new QueryCommand({
        TableName: this.#table,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': `BALANCE#${accountId}` },
        ConsistentRead: true,
      }),
    )
    return Items as Shard[]
  }
  async #shard(accountId: string, shard: number): Promise<Shard | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: ledgerKeys.balance(accountId, shard), ConsistentRead: true }),
    )
    return Item as Shard | undefined
  }
}
