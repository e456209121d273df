import { type DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { cursorOf, startKeyOf } from '#schema/cursor'
import { EpochRecord } from '#schema/epoch'
import { OpenLedgerError } from '#schema/errors'
import { ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'

/** Settlement periods: which one is open, what the ledger counted in it, and its closed record. */
export class Epochs {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  /** Number of the open epoch; the first is 1. */
  async current(): Promise<number> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: ledgerKeys.currentEpoch, ConsistentRead: true }),
    )
    return Item ? Number(Item['number']) : 1
  }

  /** Opens `n + 1`; receipts completed from now on are stamped with it. Repeating it does nothing. */
  async advanceFrom(n: number): Promise<void> {
    try {
      await this.#client.send(
        new UpdateCommand({
          TableName: this.#table,
          Key: ledgerKeys.currentEpoch,
          UpdateExpression: 'SET #n = :next',
          ConditionExpression: 'attribute_not_exists(#n) OR #n < :next',
          ExpressionAttributeNames: { '#n': 'number' },
          ExpressionAttributeValues: { ':next': BigInt(n + 1) },
        }),
      )
    } catch (error) {
      if ((error as Error).name !== 'ConditionalCheckFailedException') throw error
    }
  }

  /** What the ledger itself counted into the epoch: the receipt log must agree. */
  async counted(n: number): Promise<{ receipts: bigint; fees: bigint }> {
    const { Items = [] } = await this.#client.send(
      new QueryCommand({
        TableName: this.#table,
        KeyConditionExpression: 'PK = :pk AND begins_with(SK, :count)',
        ExpressionAttributeValues: { ':pk': ledgerKeys.epoch(n).PK, ':count': 'COUNT#' },
        ConsistentRead: true,
      }),
    )
    return Items.reduce<{ receipts: bigint; fees: bigint }>(
      (sum, item) => ({
        receipts: sum.receipts + (item['receipts'] as bigint),
        fees: sum.fees + (item['fees'] as bigint),
      }),
      { receipts: 0n, fees: 0n },
    )
  }

  async find(n: number): Promise<EpochRecord | undefined> {
    return (await this.#stored(n))?.record
  }

  async #stored(n: number): Promise<{ text: string; record: EpochRecord } | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: ledgerKeys.epoch(n), ConsistentRead: true }),
    )
    if (!Item) return undefined
    const text = Item['record'] as string
    return { text, record: EpochRecord.parse(JSON.parse(text)) }
  }

  /** Writes the closed record, once; the same record again is fine, another throws `conflict`. */
  async close(record: EpochRecord): Promise<void> {
    try {
      await this.#client.send(
        new PutCommand({
          TableName: this.#table,
          Item: {
            ...ledgerKeys.epoch(record.number),
            record: JSON.stringify(record),
            root: record.root,
            GSI1PK: 'EPOCHS',
            GSI1SK: ledgerKeys.epoch(record.number).PK,
          },
          ConditionExpression: 'attribute_not_exists(PK) OR root = :root',
          ExpressionAttributeValues: { ':root': record.root },
        }),
      )
    } catch (error) {
      if ((error as Error).name !== 'ConditionalCheckFailedException') throw error
      throw new OpenLedgerError('conflict', `Epoch ${record.number} is closed with another root.`, { cause: error })
    }
  }

  /** Puts a new record in the place of a vetoed one. Throws `wrong-state` when it is not vetoed. */
  async reopen(record: EpochRecord): Promise<void> {
    const stored = await this.#stored(record.number)
    if (stored?.record.state !== 'vetoed')
      throw new OpenLedgerError('wrong-state', `Epoch ${record.number} is not vetoed.`)
    await this.#replace(stored.text, { ...record, reopened: (stored.record.reopened ?? 0) + 1 })
  }

  /** `round`: how often it had been reopened when the caller read it; throws `conflict` when it was reopened since. */
  async setState(n: number, state: EpochRecord['state'], round: number): Promise<EpochRecord> {
    const stored = await this.#stored(n)
    if (!stored) throw new OpenLedgerError('not-found', `Epoch ${n} is not closed yet.`)
    if ((stored.record.reopened ?? 0) !== round)
      throw new OpenLedgerError('conflict', `Epoch ${n} was reopened meanwhile.`)
    const next = { ...stored.record, state }
    await this.#replace(stored.text, next)
    return next
  }

  async #replace(before: string, next: EpochRecord): Promise<void> {
    const update = new UpdateCommand({
      TableName: this.#table,
      Key: ledgerKeys.epoch(next.number),
      UpdateExpression: 'SET #r = :next, root = :root',
      ConditionExpression: '#r = :before',
      ExpressionAttributeNames: { '#r': 'record' },
      ExpressionAttributeValues: { ':next': JSON.stringify(next), ':before': before, ':root': next.root },
    })
    await this.#client.send(update).catch((error: Error) => {
      if (error.name !== 'ConditionalCheckFailedException') throw error
      throw new OpenLedgerError('conflict', `The record of epoch ${next.number} changed meanwhile.`, { cause: error })
    })
  }

  /** Newest first. */
  async list(limit: number, cursor?: string): Promise<{ items: EpochRecord[]; cursor: string | null }> {
    const { Items = [], LastEvaluatedKey } = await this.#client.send(
      new QueryCommand({
        TableName: this.#table,
        IndexName: 'GSI1',
        KeyConditionExpression: 'GSI1PK = :p',
        ExpressionAttributeValues: { ':p': 'EPOCHS' },
        ScanIndexForward: false,
        Limit: limit,
        ...(cursor ? { ExclusiveStartKey: startKeyOf(cursor, listing('EPOCHS')) } : {}),
      }),
    )
    return {
      items: Items.map((item) => EpochRecord.parse(JSON.parse(item['record'] as string))),
      cursor: cursorOf(LastEvaluatedKey),
    }
  }
}

const listing = (value: string) => ({ partition: { name: 'GSI1PK', value }, sort: { name: 'GSI1SK' } })
