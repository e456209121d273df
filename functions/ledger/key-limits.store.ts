import {
  type DynamoDBDocumentClient,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb'
import { OpenLedgerError } from '#schema/errors'
import type { Hold } from './hold.ts'
import { ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'
import { cancellationReasons, FAILED, throughContention } from './transactions.ts'

/** Budget and requests a minute of an API key. */
export class KeyLimits {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  /** Counts the request against the key's budget and rate before any money moves. */
  async count(request: Omit<Hold, 'shard'> & { now: number }): Promise<void> {
    const { id, budget, ratePerMinute } = request.key ?? {}
    if (id === undefined || (budget === undefined && ratePerMinute === undefined)) return
    const minute = Math.floor(request.now / 60)
    const items: NonNullable<TransactWriteCommandInput['TransactItems']> = []
    if (ratePerMinute !== undefined)
      items.push({
        Update: {
          TableName: this.#table,
          Key: ledgerKeys.minute(id, minute),
          UpdateExpression: 'ADD requests :one SET #ttl = :ttl',
          ConditionExpression: 'attribute_not_exists(requests) OR requests < :limit',
          ExpressionAttributeNames: { '#ttl': 'ttl' },
          ExpressionAttributeValues: {
            ':one': 1n,
            ':limit': BigInt(ratePerMinute),
            ':ttl': BigInt(request.now + 300),
          } as Record<string, bigint>,
        },
      })
    if (budget !== undefined)
      items.push({
        Update: {
          TableName: this.#table,
          Key: ledgerKeys.budget(id),
          UpdateExpression: 'ADD spent :amount',
          ConditionExpression: 'attribute_not_exists(spent) OR spent <= :room',
          ExpressionAttributeValues: { ':amount': request.amount, ':room': budget - request.amount } as Record<
            string,
            bigint
          >,
        },
      })
    if (budget !== undefined && request.amount > budget)
      throw new OpenLedgerError('budget-exceeded', 'The budget of this API key does not cover the request.')
    try {
      await throughContention(() => this.#client.send(new TransactWriteCommand({ TransactItems: items })))
    } catch (error) {
      const reasons = cancellationReasons(error)
      if (!reasons?.includes(FAILED)) throw error
      if (ratePerMinute !== undefined && reasons[0] === FAILED)
        throw new OpenLedgerError('rate-limited', `This API key may send ${ratePerMinute} requests a minute.`, {
          retryAfter: 60 - (request.now % 60),
        })
      throw new OpenLedgerError('budget-exceeded', 'The budget of this API key is spent.')
    }
  }

  /** What was counted and not spent comes back to the budget. */
  async giveBack(hold: Pick<Hold, 'key'>, amount: bigint): Promise<void> {
    if (hold.key?.budget === undefined || amount === 0n) return
    await throughContention(() =>
      this.#client.send(
        new UpdateCommand({
          TableName: this.#table,
          Key: ledgerKeys.budget(hold.key!.id),
          UpdateExpression: 'ADD spent :back',
          ExpressionAttributeValues: { ':back': -amount },
        }),
      ),
    )
  }
}
