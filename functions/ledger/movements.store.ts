import {
  type DynamoDBDocumentClient,
  GetCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb'
import { OpenLedgerError } from '#schema/errors'
import { ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'
import { addToShards } from './shard-writes.ts'
import { Spendable } from './spendable.store.ts'
import { cancellationReasons, FAILED, throughContention } from './transactions.ts'

type Items = NonNullable<TransactWriteCommandInput['TransactItems']>

const ROUNDS = 10

/** Money that enters, leaves or changes accounts by other ways than an inference. Every movement happens once. */
export class Movements {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  readonly #spendable: Spendable
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
    this.#spendable = new Spendable(table, client)
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
    const spent = (await this.#spendable.shards(accountId)).reduce((sum, shard) => sum + shard.spent, 0n)
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
      const parts = await this.#spendable.parts(from, amount)
      if (parts.reduce((sum, part) => sum + part.amount, 0n) < amount) {
        if (await this.done(reference)) return false
        throw new OpenLedgerError('insufficient-balance', `The balance of ${from} does not cover ${amount}.`)
      }
      const items = [...parts.map((part) => this.#spendable.take(from, part)), ...addToShards(this.#table, to, amount)]
      const moved = await this.#attempt(reference, { accountId: to, from, amount }, items)
      if (moved !== undefined) return moved
    }
    throw new OpenLedgerError('overloaded', 'The account is very busy; try again.', { retryAfter: 1 })
  }

  /** Was a movement with this reference made? */
  async done(reference: string): Promise<boolean> {
    const Key = ledgerKeys.credit(reference)
    const { Item } = await this.#client.send(new GetCommand({ TableName: this.#table, Key, ConsistentRead: true }))
    return Item !== undefined
  }

  /** Spendable now, over all shards, units of 1e-18 OPEN. */
  async spendable(accountId: string): Promise<bigint> {
    const parts = await this.#spendable.parts(accountId, 2n ** 128n)
    return parts.reduce((sum, { amount }) => sum + amount, 0n)
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
