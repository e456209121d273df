import { type DynamoDBDocumentClient, GetCommand, QueryCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb'
import { cursorOf, startKeyOf } from '#schema/cursor'
import { OpenLedgerError } from '#schema/errors'
import { Attribution, Billing } from '#schema/receipt'
import { COUNTER_SHARDS, ledgerKeys, shardOf } from './keys.ts'
import { allPages, ledgerClient } from './ledger-table.store.ts'
import { cancellationReasons, throughContention } from './transactions.ts'

export interface StoredReceipt {
  billing: Billing
  state: 'pending' | 'completed'
  attribution: Attribution | null
  epoch: number | null
  completedAt: string | null
}

/** Receipts: written in the settle, completed once with the attribution and stamped with their epoch. */
export class Receipts {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  async find(receiptId: string): Promise<StoredReceipt | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: ledgerKeys.receipt(receiptId), ConsistentRead: true }),
    )
    return Item && stored(Item)
  }
  async get(receiptId: string): Promise<StoredReceipt> {
    const found = await this.find(receiptId)
    if (!found) throw new OpenLedgerError('not-found', 'There is no such receipt.')
    return found
  }

  /** Newest first. */
  async listOf(
    accountId: string,
    page: { limit: number; cursor?: string | undefined },
  ): Promise<{ items: StoredReceipt[]; cursor: string | null }> {
    const { Items = [], LastEvaluatedKey } = await this.#client.send(
      new QueryCommand({
        TableName: this.#table,
        IndexName: 'GSI1',
        KeyConditionExpression: 'GSI1PK = :p',
        ExpressionAttributeValues: { ':p': `RECEIPTS#${accountId}` },
        ScanIndexForward: false,
        Limit: page.limit,
        ...(page.cursor ? { ExclusiveStartKey: startKeyOf(page.cursor, listing(`RECEIPTS#${accountId}`)) } : {}),
      }),
    )
    return {
      items: Items.map(stored),
      cursor: cursorOf(LastEvaluatedKey),
    }
  }

  /** Receipts of one partition of the pending index that were settled before `before` (ISO time). */
  async pendingSince(partition: number, before: string): Promise<string[]> {
    const items = await allPages(this.#client, {
      TableName: this.#table,
      IndexName: 'PENDING',
      KeyConditionExpression: 'PENDINGPK = :p AND PENDINGSK < :before',
      ExpressionAttributeValues: { ':p': `ATTRIBUTION#${partition}`, ':before': before },
    })
    return items.map((item) => String(item['PK']).slice('RECEIPT#'.length))
  }

  /**
   * Completes a pending receipt, once: attribution, epoch stamp, and the epoch's sharded counters in one transaction.
   * False when it was completed before (a replay): the first attribution stands.
   */
  async complete(receiptId: string, attribution: Attribution, epoch: number, completedAt: string): Promise<boolean> {
    const { billing } = await this.get(receiptId)
    try {
      await throughContention(() =>
        this.#client.send(
          new TransactWriteCommand({
            TransactItems: [
              {
                Update: {
                  TableName: this.#table,
                  Key: ledgerKeys.receipt(receiptId),
                  UpdateExpression:
                    'SET #state = :completed, attribution = :attribution, epoch = :epoch, completedAt = :at REMOVE PENDINGPK, PENDINGSK',
                  ConditionExpression: '#state = :pending',
                  ExpressionAttributeNames: { '#state': 'state' },
                  ExpressionAttributeValues: {
                    ':completed': 'completed',
                    ':pending': 'pending',
                    ':attribution': JSON.stringify(attribution),
                    ':epoch': BigInt(epoch),
                    ':at': completedAt,
                  },
                },
              },
              {
                Update: {
                  TableName: this.#table,
                  Key: ledgerKeys.epochCount(epoch, shardOf(receiptId, COUNTER_SHARDS)),
                  UpdateExpression: 'ADD receipts :one, fees :fee',
                  ExpressionAttributeValues: { ':one': 1n, ':fee': BigInt(billing.fee) },
                },
              },
            ],
          }),
        ),
      )
      return true
    } catch (error) {
      if (cancellationReasons(error)?.[0] === 'ConditionalCheckFailed') return false
      throw error
    }
  }
}

const stored = (item: Record<string, unknown>): StoredReceipt => ({
  billing: Billing.parse(JSON.parse(item['billing'] as string)),
  state: item['state'] as StoredReceipt['state'],
  attribution: item['attribution'] ? Attribution.parse(JSON.parse(item['attribution'] as string)) : null,
  epoch: item['epoch'] === undefined ? null : Number(item['epoch']),
  completedAt: (item['completedAt'] as string | undefined) ?? null,
})

const listing = (value: string) => ({ partition: { name: 'GSI1PK', value }, sort: { name: 'GSI1SK' } })
