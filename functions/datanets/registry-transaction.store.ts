import { DynamoDBClient, TransactionCanceledException } from '@aws-sdk/client-dynamodb'
import {
  DynamoDBDocumentClient,
  GetCommand,
  QueryCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb'
import type { Key } from '#registry/keys'
import { OpenLedgerError } from '#schema/errors'

type Writes = NonNullable<TransactWriteCommandInput['TransactItems']>
export interface Change {
  key: Key
  set: Record<string, unknown>
  /** Fields that must have these values; null: must be absent. */
  expect: Record<string, unknown>
}

/** All-or-nothing writes on the registry table, and the consistent reads that go with them. */
export class RegistryTransactions {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient

  constructor(
    table: string,
    client = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } }),
  ) {
    this.#table = table
    this.#client = client
  }

  async get(key: Key): Promise<Record<string, unknown> | undefined> {
    return (await this.#client.send(new GetCommand({ TableName: this.#table, Key: key, ConsistentRead: true }))).Item
  }

  /** The first `limit` records of a partition whose sort key starts with `prefix`. */
  async first(partition: string, prefix: string, limit: number): Promise<Record<string, unknown>[]> {
    const { Items = [] } = await this.#client.send(
      new QueryCommand({
        TableName: this.#table,
        ConsistentRead: true,
        KeyConditionExpression: 'PK = :pk AND begins_with(SK, :sk)',
        ExpressionAttributeValues: { ':pk': partition, ':sk': prefix },
        Limit: limit,
      }),
    )
    return Items
  }

  /** All records of a partition whose sort key starts with `prefix`. */
  async all(partition: string, prefix: string): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = []
    let from: Record<string, unknown> | undefined
    do {
      const page = await this.#client.send(
        new QueryCommand({
          TableName: this.#table,
          ConsistentRead: true,
          KeyConditionExpression: 'PK = :pk AND begins_with(SK, :sk)',
          ExpressionAttributeValues: { ':pk': partition, ':sk': prefix },
          ...(from ? { ExclusiveStartKey: from } : {}),
        }),
      )
      found.push(...(page.Items ?? []))
      from = page.LastEvaluatedKey
    } while (from)
    return found
  }

  change({ key, set, expect }: Change): Writes[number] {
    const names: Record<string, string> = {}
    const values: Record<string, unknown> = {}
    const assignments = Object.entries(set).map(([field, value]) => {
      names[`#${field}`] = field
      values[`:${field}`] = value
      return `#${field} = :${field}`
    })
    const conditions = Object.entries(expect).map(([field, value]) => {
      names[`#${field}`] = field
      if (value === null) return `attribute_not_exists(#${field})`
      values[`:was_${field}`] = value
      return `#${field} = :was_${field}`
    })
    return {
      Update: {
        TableName: this.#table,
        Key: key,
        UpdateExpression: `SET ${assignments.join(', ')}`,
        ConditionExpression: conditions.join(' AND '),
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: values,
      },
    }
  }

  put(key: Key, item: object, mustBeNew = false): Writes[number] {
    const condition = mustBeNew ? { ConditionExpression: 'attribute_not_exists(PK)' } : {}
    return { Put: { TableName: this.#table, Item: { ...item, ...key }, ...condition } }
  }

  remove(key: Key): Writes[number] {
    return { Delete: { TableName: this.#table, Key: key } }
  }

  /**
   * True if all was written, false if a condition did not hold. A transaction that was only in the way of another one
   * (TransactionConflict) is tried again: it says nothing about the conditions.
   */
  async write(writes: Writes): Promise<boolean> {
    for (let attempt = 0; attempt < 10; attempt++) {
      const codes = await this.#attempt(writes)
      if (codes.length === 0) return true
      if (codes.includes('ConditionalCheckFailed')) return false
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 25 * 2 ** Math.min(attempt, 6)))
    }
    throw new OpenLedgerError('overloaded', 'The registry is contended: try again.')
  }

  async #attempt(writes: Writes): Promise<string[]> {
    try {
      await this.#client.send(new TransactWriteCommand({ TransactItems: writes }))
      return []
    } catch (error) {
      const codes = error instanceof TransactionCanceledException ? (error.CancellationReasons ?? []) : []
      const known = codes.flatMap(({ Code }) => (Code && Code !== 'None' ? [Code] : []))
      if (known.length === 0 || !known.every((code) => RETRIABLE.includes(code))) throw error
      return known
    }
  }
}

const RETRIABLE = ['ConditionalCheckFailed', 'TransactionConflict']
