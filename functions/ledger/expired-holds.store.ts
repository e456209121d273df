import { type DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { Balances } from './balances.store.ts'
import { ledgerKeys } from './keys.ts'
import { allPages, ledgerClient } from './ledger-table.store.ts'
import { Shards } from './shards.store.ts'

/** Holds whose request died before it settled: they are found by a sparse index and given back. */
export class ExpiredHolds {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  readonly #balances: Balances
  readonly #shards: Shards
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
    this.#balances = new Balances(table, client)
    this.#shards = new Shards(table, client)
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

  /** Frees the holds of one shard that expired before `now`; returns how many. */
  async sweep(accountId: string, shard: number, now: number): Promise<number> {
    const state = await this.#shards.one(accountId, shard)
    let freed = 0
    for (const [receiptId, hold] of Object.entries(state?.holds ?? {}))
      if (hold.expires < BigInt(now)) {
        const key = hold.keyId ? { id: hold.keyId, budget: 0n } : undefined
        if (await this.#balances.release({ accountId, shard, receiptId, key }, hold.amount)) freed++
      }
    if (state && Object.keys(state.holds).length === freed) await this.#forget(accountId, shard)
    return freed
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
}
