import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import type * as z from 'zod'
import { cursorOf, startKeyOf } from '#schema/cursor'
import { OpenLedgerError } from '#schema/errors'
import type { Key } from './keys.ts'

export interface ListingIndex {
  partition: string
  sort: string
}
export interface PageOf<Item> {
  items: Item[]
  cursor: string | null
}

/**
 * Typed records of one DynamoDB table. Conditional writes are the lock: `create` fails when the record exists,
 * `change` when the fields named in `expect` have other values. Everything read is parsed by its schema.
 */
export class Records {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient

  constructor(
    table: string,
    client = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } }),
  ) {
    this.#table = table
    this.#client = client
  }

  async find<Schema extends z.ZodType>(schema: Schema, key: Key): Promise<z.output<Schema> | undefined> {
    const { Item } = await this.#client.send(new GetCommand({ TableName: this.#table, Key: key, ConsistentRead: true }))
    return Item && schema.parse(bare(Item))
  }

  /** Throws `not-found`, naming `what`. */
  async get<Schema extends z.ZodType>(schema: Schema, key: Key, what: string): Promise<z.output<Schema>> {
    const record = await this.find(schema, key)
    if (!record) throw new OpenLedgerError('not-found', `There is no such ${what}.`)
    return record
  }

  /** Writes a record that must be new; throws `already-exists`. */
  async create(key: Key, record: object, index?: ListingIndex): Promise<void> {
    const listed = index ? { GSI1PK: index.partition, GSI1SK: index.sort } : {}
    await refused('already-exists', `${key.PK} ${key.SK} exists already.`, () =>
      this.#client.send(
        new PutCommand({
          TableName: this.#table,
          Item: { ...record, ...listed, ...key },
          ConditionExpression: 'attribute_not_exists(PK)',
        }),
      ),
    )
  }

  /** Writes a record whether or not it exists. For caches and address links, never for state. */
  async put(key: Key, record: object, index?: ListingIndex): Promise<void> {
    const listed = index ? { GSI1PK: index.partition, GSI1SK: index.sort } : {}
    await this.#client.send(new PutCommand({ TableName: this.#table, Item: { ...record, ...listed, ...key } }))
  }

  /**
   * Sets fields of an existing record if every field in `expect` has the given value (an array: one of the values;
   * null: is absent). Returns the record after the change. Throws `wrong-state` when the expectation does not hold.
   */
  async change<Schema extends z.ZodType>(
    schema: Schema,
    key: Key,
    changes: Record<string, unknown>,
    expect: Record<string, unknown> = {},
  ): Promise<z.output<Schema>> {
    const names: Record<string, string> = {}
    const values: Record<string, unknown> = {}
    const name = (field: string) => {
      names[`#${field}`] = field
      return `#${field}`
    }
    const conditions = ['attribute_exists(PK)']
    for (const [field, value] of Object.entries(expect)) {
      if (value === null) conditions.push(`attribute_not_exists(${name(field)})`)
      else {
        const options = Array.isArray(value) ? value : [value]
        const marks = options.map((option, i) => {
          values[`:e_${field}_${i}`] = option
          return `:e_${field}_${i}`
        })
        conditions.push(`${name(field)} IN (${marks.join(', ')})`)
      }
    }
    const set: string[] = []
    const remove: string[] = []
    for (const [field, value] of Object.entries(changes)) {
      if (value === undefined) remove.push(name(field))
      else {
        values[`:${field}`] = value
        set.push(`${name(field)} = :${field}`)
      }
    }
    const expression = [set.length ? `SET ${set.join(', ')}` : '', remove.length ? `REMOVE ${remove.join(', ')}` : '']
      .join(' ')
      .trim()
    const reply = await refused('wrong-state', `${key.PK} ${key.SK} is not in the state that this step expects.`, () =>
      this.#client.send(
        new UpdateCommand({
          TableName: this.#table,
          Key: key,
          UpdateExpression: expression,
          ConditionExpression: conditions.join(' AND '),
          ExpressionAttributeNames: names,
          ...(Object.keys(values).length ? { ExpressionAttributeValues: values } : {}),
          ReturnValues: 'ALL_NEW',
        }),
      ),
    )
    return schema.parse(bare(reply.Attributes ?? {}))
  }

  /** Records under one partition whose sort key begins with `prefix`. */
  list<Schema extends z.ZodType>(
    schema: Schema,
    partition: string,
    prefix: string,
    page: { limit?: number | undefined; cursor?: string | undefined; newestFirst?: boolean } = {},
  ): Promise<PageOf<z.output<Schema>>> {
    return this.#query(schema, { pk: 'PK', sk: 'SK', partition, prefix }, page)
  }

  /** Records listed in the index under `partition`. */
  listIndexed<Schema extends z.ZodType>(
    schema: Schema,
    partition: string,
    page: { limit?: number | undefined; cursor?: string | undefined; newestFirst?: boolean } = {},
  ): Promise<PageOf<z.output<Schema>>> {
    return this.#query(schema, { index: 'GSI1', pk: 'GSI1PK', sk: 'GSI1SK', partition, prefix: '' }, page)
  }

  async #query<Schema extends z.ZodType>(
    schema: Schema,
    where: { index?: string; pk: string; sk: string; partition: string; prefix: string },
    page: { limit?: number | undefined; cursor?: string | undefined; newestFirst?: boolean },
  ): Promise<PageOf<z.output<Schema>>> {
    const scope = {
      partition: { name: where.pk, value: where.partition },
      sort: { name: where.sk, prefix: where.prefix },
    }
    const { Items = [], LastEvaluatedKey } = await this.#client.send(
      new QueryCommand({
        TableName: this.#table,
        ...(where.index ? { IndexName: where.index } : { ConsistentRead: true }),
        KeyConditionExpression: where.prefix ? '#pk = :pk AND begins_with(#sk, :prefix)' : '#pk = :pk',
        ExpressionAttributeNames: { '#pk': where.pk, ...(where.prefix ? { '#sk': where.sk } : {}) },
        ExpressionAttributeValues: { ':pk': where.partition, ...(where.prefix ? { ':prefix': where.prefix } : {}) },
        ScanIndexForward: !page.newestFirst,
        ...(page.limit ? { Limit: page.limit } : {}),
        ...(page.cursor ? { ExclusiveStartKey: startKeyOf(page.cursor, scope) } : {}),
      }),
    )
    return { items: Items.map((item) => schema.parse(bare(item))), cursor: cursorOf(LastEvaluatedKey) }
  }
}

const bare = ({
  PK: _pk,
  SK: _sk,
  GSI1PK: _gpk,
  GSI1SK: _gsk,
  ...record
}: Record<string, unknown>): Record<string, unknown> => record

/** A condition that does not hold is an answer, not a fault: it becomes the named error. */
const refused = async <Reply>(
  code: 'already-exists' | 'wrong-state',
  detail: string,
  write: () => Promise<Reply>,
): Promise<Reply> => {
  try {
    return await write()
  } catch (error) {
    if ((error as Error).name === 'ConditionalCheckFailedException')
      throw new OpenLedgerError(code, detail, { cause: error })
    throw error
  }
}
