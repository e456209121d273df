import { type DynamoDBDocumentClient, GetCommand, type TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb'
import { BALANCE_SHARDS, ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'

interface Part {
  shard: number
  amount: bigint
}

/** What can be taken out of a balance now, shard by shard. */
export class Spendable {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  shards(accountId: string): Promise<{ shard: number; available: bigint; spent: bigint }[]> {
    return Promise.all(
      Array.from({ length: BALANCE_SHARDS }, async (_, shard) => {
        const Key = ledgerKeys.balance(accountId, shard)
        const { Item } = await this.#client.send(new GetCommand({ TableName: this.#table, Key, ConsistentRead: true }))
        const { available = 0n, spent = 0n } = (Item ?? {}) as { available?: bigint; spent?: bigint }
        return { shard, available, spent }
      }),
    )
  }

  /** Which shards give how much of `amount`, largest first; less in sum when there is less. */
  async parts(accountId: string, amount: bigint): Promise<Part[]> {
    const shards = await this.shards(accountId)
    shards.sort((a, b) => Number(b.available > a.available) - Number(b.available < a.available))
    let left = amount
    return shards.flatMap(({ shard, available }) => {
      const part = smaller(available, left)
      left -= part
      return part > 0n ? [{ shard, amount: part }] : []
    })
  }

  /** The write that takes a part, while it is still there. */
  take(accountId: string, part: Part): NonNullable<TransactWriteCommandInput['TransactItems']>[number] {
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
}

// Math.min takes no bigint.
const smaller = (a: bigint, b: bigint): bigint => {
  if (a < b) return a
  return b
}
