import { type DynamoDBDocumentClient, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import type { Hold } from './hold.ts'
import { ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'
import { throughContention } from './transactions.ts'

interface Shard {
  SK: string
  holds: Record<string, { amount: bigint; expires: bigint }>
}

/** Holds of work that outlives one request: found again by their receipt id, and kept alive while the work goes on. */
export class OpenHolds {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  /** The open hold of a receipt id; undefined when it was never made, or is settled, released or swept. */
  async find(accountId: string, receiptId: string): Promise<Hold | undefined> {
    const { Items = [] } = await this.#client.send(
      new QueryCommand({
        TableName: this.#table,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': ledgerKeys.balance(accountId, 0).PK },
        ConsistentRead: true,
      }),
    )
    for (const { SK, holds } of Items as Shard[]) {
      const held = holds[receiptId]
      if (held) return { receiptId, accountId, shard: Number(SK.slice('SHARD#'.length)), amount: held.amount }
    }
    return undefined
  }

  /** Moves the hour at which the sweeper takes the hold to `expires` (unix seconds); false when the hold is gone. */
  async extend({ accountId, shard, receiptId }: Hold, expires: number): Promise<boolean> {
    try {
      await throughContention(() =>
        this.#client.send(
          new UpdateCommand({
            TableName: this.#table,
            Key: ledgerKeys.balance(accountId, shard),
            UpdateExpression: 'SET holds.#r.expires = :expires',
            ConditionExpression: 'attribute_exists(holds.#r)',
            ExpressionAttributeNames: { '#r': receiptId },
            ExpressionAttributeValues: { ':expires': BigInt(expires) },
          }),
        ),
      )
      return true
    } catch (error) {
      if ((error as Error).name === 'ConditionalCheckFailedException') return false
      throw error
    }
  }
}
