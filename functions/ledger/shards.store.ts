import { type DynamoDBDocumentClient, GetCommand, QueryCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb'
import { ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'
import { cancellationReasons, throughContention } from './transactions.ts'

export interface Shard {
  available: bigint
  sequence: bigint
  spent: bigint
  holds: Record<string, { amount: bigint; expires: bigint; keyId?: string }>
}

/** The parts of an account's balance, so that many requests of one account do not wait for one item. */
export class Shards {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  async all(accountId: string): Promise<Shard[]> {
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

  async one(accountId: string, shard: number): Promise<Shard | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: ledgerKeys.balance(accountId, shard), ConsistentRead: true }),
    )
    return Item as Shard | undefined
  }

  /** Moves what the other shards have into one. False when all of them together do not have enough. */
  async pool(accountId: string, target: number, amount: bigint): Promise<boolean> {
    const shards = await this.all(accountId)
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
}
