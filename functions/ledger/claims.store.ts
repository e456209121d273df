import { DeleteCommand, type DynamoDBDocumentClient, TransactWriteCommand } from '@aws-sdk/lib-dynamodb'
import { ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'
import { cancellationReasons, FAILED, throughContention } from './transactions.ts'

/** Receipt ids that requests with an Idempotency-Key have taken. */
export class Claims {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
  }

  /**
   * Claims a receipt id for an Idempotency-Key for 24 hours; false when another request holds it. A claim older than
   * `staleAfter` seconds without a receipt belongs to a request that died, and is taken over; one with a receipt never is.
   */
  async claim(receiptId: string, now: number, staleAfter: number): Promise<boolean> {
    try {
      await throughContention(() =>
        this.#client.send(
          new TransactWriteCommand({
            TransactItems: [
              {
                Put: {
                  TableName: this.#table,
                  Item: { ...ledgerKeys.attempt(receiptId), claimedAt: BigInt(now), ttl: BigInt(now + 86_400) },
                  ConditionExpression: 'attribute_not_exists(PK) OR claimedAt < :stale',
                  ExpressionAttributeValues: { ':stale': BigInt(now - staleAfter) },
                },
              },
              {
                ConditionCheck: {
                  TableName: this.#table,
                  Key: ledgerKeys.receipt(receiptId),
                  ConditionExpression: 'attribute_not_exists(PK)',
                },
              },
            ],
          }),
        ),
      )
      return true
    } catch (error) {
      if (cancellationReasons(error)?.includes(FAILED)) return false
      throw error
    }
  }

  /** Gives a claim back: its request ended before anything was reserved or delivered, so the key may be used again. */
  async unclaim(receiptId: string): Promise<void> {
    await this.#client.send(new DeleteCommand({ TableName: this.#table, Key: ledgerKeys.attempt(receiptId) }))
  }
}
