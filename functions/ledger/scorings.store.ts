import { type DynamoDBDocumentClient, GetCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { OpenLedgerError } from '#schema/errors'
import { Scoring } from '#schema/receipt'
import { ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'

/** Records of scoring are of no use once their receipts are completed: DynamoDB drops them (attribute `ttl`). */
const KEPT_MS = 30 * 86_400_000

/** Which pending receipts were asked for, in which request, and what became of it. */
export class Scorings {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  async find(receiptId: string): Promise<Scoring | undefined> {
    const Item = await this.#item(ledgerKeys.scoring(receiptId))
    if (!Item) return undefined
    const { scoring, attempts, at, nextAt, failure } = Item
    return Scoring.parse({ state: scoring, attempts: Number(attempts), at, nextAt, ...(failure ? { failure } : {}) })
  }

  /** The receipts of the request whose failure would be written to `failureKey`. Throws `not-found` until `asked` is through. */
  async receiptsOf(failureKey: string): Promise<string[]> {
    const Item = await this.#item(ledgerKeys.scoringRequest(failureKey))
    if (!Item) throw new OpenLedgerError('not-found', `No scoring request is known for ${failureKey}.`)
    return Item['receiptIds'] as string[]
  }

  /** Receipts first, then the request: who finds the request finds what it asked for. */
  async asked(failureKey: string, receiptIds: readonly string[], at: Date, nextAt: Date): Promise<void> {
    const values = { ':request': failureKey, ':at': at.toISOString(), ':next': nextAt.toISOString(), ':ttl': ttl(at) }
    await inTurns(receiptIds, (receiptId) =>
      this.#update(
        ledgerKeys.scoring(receiptId),
        'SET scoring = :asked, askedAs = :request, #at = :at, nextAt = :next, #ttl = :ttl ADD attempts :one',
        { ...values, ':asked': 'asked', ':one': 1n },
      ),
    )
    await this.#update(ledgerKeys.scoringRequest(failureKey), 'SET receiptIds = :ids, #at = :at, #ttl = :ttl', {
      ':ids': [...receiptIds],
      ':at': at.toISOString(),
      ':ttl': ttl(at),
    })
  }

  /** False when the receipt was asked for again since, in another request: this failure is old. */
  async failed(failureKey: string, receiptId: string, failure: string, at: Date, nextAt: Date): Promise<boolean> {
    try {
      await this.#update(
        ledgerKeys.scoring(receiptId),
        'SET scoring = :failed, failure = :failure, #at = :at, nextAt = :next, #ttl = :ttl',
        {
          ':failed': 'failed',
          ':failure': failure,
          ':at': at.toISOString(),
          ':next': nextAt.toISOString(),
          ':ttl': ttl(at),
          ':request': failureKey,
        },
        'askedAs = :request',
      )
      return true
    } catch (error) {
      if ((error as Error).name === 'ConditionalCheckFailedException') return false
      throw error
    }
  }

  async #item(Key: { PK: string; SK: string }): Promise<Record<string, unknown> | undefined> {
    const { Item } = await this.#client.send(new GetCommand({ TableName: this.#table, Key, ConsistentRead: true }))
    return Item
  }

  async #update(
    Key: { PK: string; SK: string },
    UpdateExpression: string,
    ExpressionAttributeValues: Record<string, unknown>,
    ConditionExpression?: string,
  ): Promise<void> {
    await this.#client.send(
      new UpdateCommand({
        TableName: this.#table,
        Key,
        UpdateExpression,
        ExpressionAttributeNames: { '#at': 'at', '#ttl': 'ttl' },
        ExpressionAttributeValues,
        ...(ConditionExpression ? { ConditionExpression } : {}),
      }),
    )
  }
}

const ttl = (from: Date): bigint => BigInt(Math.ceil((from.getTime() + KEPT_MS) / 1000))

/** Sixteen at once: a batch of 500 receipts in a second, and no flood of connections. */
const inTurns = async (ids: readonly string[], work: (id: string) => Promise<void>): Promise<void> => {
  const rest = ids[Symbol.iterator]()
  const worker = async () => {
    for (const id of rest) await work(id)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}
