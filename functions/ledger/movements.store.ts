import {
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactGetCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb'
import { OpenLedgerError } from '#schema/errors'
import { BALANCE_SHARDS, ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'
import { addToShards } from './shard-writes.ts'
import { cancellationReasons, throughContention } from './transactions.ts'

type Items = NonNullable<TransactWriteCommandInput['TransactItems']>

/** An escrow client as the ledger sees it: what its deposits credited, and what left or is leaving again. */
export interface ClientRecord {
  client: string
  accountId: string
  credited: bigint
  out: bigint
}
const FAILED = 'ConditionalCheckFailed'
const ROUNDS = 10

/** Money that enters, leaves or changes accounts by other ways than an inference. Every movement happens once. */
export class Movements {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  /** Credits a deposit of an escrow client to its account, once per reference (the identity of its log). */
  async creditDeposit(client: string, accountId: string, amount: bigint, reference: string): Promise<boolean> {
    return this.#once(reference, { accountId, amount, client }, [
      ...addToShards(this.#table, accountId, amount),
      {
        Update: {
          TableName: this.#table,
          Key: ledgerKeys.client(client),
          UpdateExpression: 'SET accountId = :account, #out = if_not_exists(#out, :zero) ADD credited :amount',
          ExpressionAttributeNames: { '#out': 'out' },
          ExpressionAttributeValues: { ':account': accountId, ':amount': amount, ':zero': 0n },
        },
      },
    ])
  }

  /**
   * What an epoch gives back of fees becomes spendable again, once per reference. Throws `wrong-state` when it is more than
   * the account spent: only a fault gives that, and it would be somebody else's money.
   */
  async refund(accountId: string, amount: bigint, reference: string): Promise<boolean> {
    if (await this.done(reference)) return false
    const spent = (await this.#shards(accountId)).reduce((sum, shard) => sum + shard.spent, 0n)
    if (amount > spent)
      throw new OpenLedgerError('wrong-state', `${reference}: ${amount} is more than ${accountId} spent, ${spent}.`)
    const back = {
      TableName: this.#table,
      Key: ledgerKeys.balance(accountId, 0),
      UpdateExpression: 'ADD available :amount, spent :less',
      ConditionExpression: 'attribute_exists(PK)',
      ExpressionAttributeValues: { ':amount': amount, ':less': -amount },
    }
    return this.#once(reference, { accountId, amount }, [{ Update: back }])
  }

  /** Moves spendable money between two accounts, once per reference. Throws `insufficient-balance` of `from`. */
  async transfer(from: string, to: string, amount: bigint, reference: string): Promise<boolean> {
    for (let round = 0; round < ROUNDS; round++) {
      const parts = await this.#parts(from, amount)
      if (parts.reduce((sum, part) => sum + part.amount, 0n) < amount) {
        if (await this.done(reference)) return false
        throw new OpenLedgerError('insufficient-balance', `The balance of ${from} does not cover ${amount}.`)
      }
      const items = [...parts.map((part) => this.#take(from, part)), ...addToShards(this.#table, to, amount)]
      const moved = await this.#attempt(reference, { accountId: to, from, amount }, items)
      if (moved !== undefined) return moved
    }
    throw new OpenLedgerError('overloaded', 'The account is very busy; try again.', { retryAfter: 1 })
  }

  /** Takes up to `amount` out of the spendable balance for a withdrawal; returns how much there was. */
  async take({ client, accountId, out }: ClientRecord, amount: bigint): Promise<bigint> {
    let taken = 0n
    for (const part of await this.#parts(accountId, amount))
      if (await this.#move(client, out + taken, part.amount, this.#take(accountId, part))) taken += part.amount
    return taken
  }

  /** Gives back what was taken for a withdrawal that ended with less. */
  async giveBack({ client, accountId, out }: ClientRecord, amount: bigint): Promise<void> {
    await this.#move(client, out, -amount, {
      Update: {
        TableName: this.#table,
        Key: ledgerKeys.balance(accountId, 0),
        UpdateExpression: 'ADD available :amount',
        ExpressionAttributeValues: { ':amount': amount },
      },
    })
  }

  /** Was a movement with this reference made? */
  async done(reference: string): Promise<boolean> {
    const Key = ledgerKeys.credit(reference)
    const { Item } = await this.#client.send(new GetCommand({ TableName: this.#table, Key, ConsistentRead: true }))
    return Item !== undefined
  }

  /** Spendable now, over all shards, units of 1e-18 OPEN. */
  async spendable(accountId: string): Promise<bigint> {
    const parts = await this.#parts(accountId, 2n ** 128n)
    return parts.reduce((sum, { amount }) => sum + amount, 0n)
  }

  async client(client: string): Promise<ClientRecord | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: ledgerKeys.client(client), ConsistentRead: true }),
    )
    return Item && clientRecord(client, Item)
  }

  /** A client and all shards of its account at one moment; `owed` = spendable + held + net spending. */
  async snapshot(client: string): Promise<(ClientRecord & { owed: bigint }) | undefined> {
    const known = await this.client(client)
    if (!known) return undefined
    const shards = Array.from({ length: BALANCE_SHARDS }, (_, i) => ledgerKeys.balance(known.accountId, i))
    const TransactItems = [ledgerKeys.client(client), ...shards].map((Key) => ({
      Get: { TableName: this.#table, Key },
    }))
    const { Responses = [] } = await throughContention(() =>
      this.#client.send(new TransactGetCommand({ TransactItems })),
    )
    const owed = Responses.slice(1).reduce((sum, { Item }) => {
      if (!Item) return sum
      const holds = Object.values(Item['holds'] as Record<string, { amount: bigint }>)
      return holds.reduce(
        (all, { amount }) => all + amount,
        sum + (Item['available'] as bigint) + (Item['spent'] as bigint),
      )
    }, 0n)
    return { ...clientRecord(client, Responses[0]!.Item!), owed }
  }

  /** Clients with a withdrawal under way. */
  async leaving(): Promise<string[]> {
    const clients: string[] = []
    let from: Record<string, unknown> | undefined
    do {
      const { Items = [], LastEvaluatedKey } = await this.#client.send(
        new QueryCommand({
          TableName: this.#table,
          KeyConditionExpression: 'PK = :pk',
          ExpressionAttributeValues: { ':pk': ledgerKeys.leaving('').PK },
          ConsistentRead: true,
          ExclusiveStartKey: from,
        }),
      )
      clients.push(...Items.map((item) => item['SK'] as string))
      from = LastEvaluatedKey
    } while (from)
    return clients
  }
  async leave(client: string): Promise<void> {
    await this.#client.send(new PutCommand({ TableName: this.#table, Item: ledgerKeys.leaving(client) }))
  }
  async stay(client: string): Promise<void> {
    await this.#client.send(new DeleteCommand({ TableName: this.#table, Key: ledgerKeys.leaving(client) }))
  }

  /** Which shards give how much of `amount`, largest first; less in sum when there is less. */
  async #parts(accountId: string, amount: bigint): Promise<{ shard: number; amount: bigint }[]> {
    const shards = await this.#shards(accountId)
    shards.sort((a, b) => Number(b.available > a.available) - Number(b.available < a.available))
    let left = amount
    return shards.flatMap(({ shard, available }) => {
      const part = smaller(available, left)
      left -= part
      return part > 0n ? [{ shard, amount: part }] : []
    })
  }

  #shards(accountId: string): Promise<{ shard: number; available: bigint; spent: bigint }[]> {
    return Promise.all(
      Array.from({ length: BALANCE_SHARDS }, async (_, shard) => {
        const Key = ledgerKeys.balance(accountId, shard)
        const { Item } = await this.#client.send(new GetCommand({ TableName: this.#table, Key, ConsistentRead: true }))
        const { available = 0n, spent = 0n } = (Item ?? {}) as { available?: bigint; spent?: bigint }
        return { shard, available, spent }
      }),
    )
  }

  #take(accountId: string, part: { shard: number; amount: bigint }): Items[number] {
    return {
      Update: {
        TableName: this.#table,
        Key: ledgerKeys.balance(accountId, part.shard),
        UpdateExpression: 'SET available = available - :amount',
        ConditionExpression: 'available >= :amount',
        ExpressionAttributeValues: { ':amount': part.amount },
      },
    }
  }

  /** Changes what went out for a client together with the balance; false when either has changed meanwhile. */
  async #move(client: string, out: bigint, change: bigint, balance: Items[number]): Promise<boolean> {
    const record = {
      TableName: this.#table,
      Key: ledgerKeys.client(client),
      UpdateExpression: 'SET #out = :next',
      ConditionExpression: '#out = :out',
      ExpressionAttributeNames: { '#out': 'out' },
      ExpressionAttributeValues: { ':out': out, ':next': out + change },
    }
    const TransactItems = [{ Update: record }, balance]
    try {
      await throughContention(() => this.#client.send(new TransactWriteCommand({ TransactItems })))
      return true
    } catch (error) {
      if (cancellationReasons(error)?.includes(FAILED)) return false
      throw error
    }
  }

  async #once(reference: string, record: object, items: Items): Promise<boolean> {
    const moved = await this.#attempt(reference, record, items)
    if (moved === undefined) throw new OpenLedgerError('wrong-state', `${reference}: the account has no balance.`)
    return moved
  }

  /** True: done now; false: done before; undefined: another condition did not hold. */
  async #attempt(reference: string, record: object, items: Items): Promise<boolean | undefined> {
    const mark = {
      TableName: this.#table,
      Item: { ...ledgerKeys.credit(reference), ...record },
      ConditionExpression: 'attribute_not_exists(PK)',
    }
    const TransactItems = [{ Put: mark }, ...items]
    try {
      await throughContention(() => this.#client.send(new TransactWriteCommand({ TransactItems })))
      return true
    } catch (error) {
      const reasons = cancellationReasons(error)
      if (!reasons?.includes(FAILED)) throw error
      return reasons[0] === FAILED ? false : undefined
    }
  }
}

// Math.min takes no bigint.
const smaller = (a: bigint, b: bigint): bigint => {
  if (a < b) return a
  return b
}

const clientRecord = (client: string, item: Record<string, unknown>): ClientRecord => ({
  client,
  accountId: item['accountId'] as string,
  credited: item['credited'] as bigint,
  out: item['out'] as bigint,
})
