import {
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactGetCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb'
import { BALANCE_SHARDS, ledgerKeys } from './keys.ts'
import { ledgerClient } from './ledger-table.store.ts'
import { Spendable } from './spendable.store.ts'
import { cancellationReasons, FAILED, throughContention } from './transactions.ts'

/** An escrow client as the ledger sees it: what its deposits credited, and what left or is leaving again. */
export interface ClientRecord {
  client: string
  accountId: string
  credited: bigint
  out: bigint
}
/** Escrow clients: what their deposits credited, and what leaves the balance for a withdrawal on chain. */
export class Withdrawals {
  readonly #table: string
  readonly #client: DynamoDBDocumentClient
  readonly #spendable: Spendable
  constructor(table: string, client = ledgerClient()) {
    this.#table = table
    this.#client = client
    this.#spendable = new Spendable(table, client)
  }

  async client(client: string): Promise<ClientRecord | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: ledgerKeys.client(client), ConsistentRead: true }),
    )
    return Item && clientRecord(client, Item)
  }

  /** A client and all shards of its account at one moment; `owed` = spendable + held + net spending. */
  async snapshot(client: string): Promise<(ClientRecord & { owed: bigint }) | undefined> {
    const known = await this.client(client)
    if (!known) return undefined
    const shards = Array.from({ length: BALANCE_SHARDS }, (_, i) => ledgerKeys.balance(known.accountId, i))
    const TransactItems = [ledgerKeys.client(client), ...shards].map((Key) => ({
      Get: { TableName: this.#table, Key },
    }))
    const { Responses = [] } = await throughContention(() =>
      this.#client.send(new TransactGetCommand({ TransactItems })),
    )
    const owed = Responses.slice(1).reduce((sum, { Item }) => {
      if (!Item) return sum
      const holds = Object.values(Item['holds'] as Record<string, { amount: bigint }>)
      return holds.reduce(
        (all, { amount }) => all + amount,
        sum + (Item['available'] as bigint) + (Item['spent'] as bigint),
      )
    }, 0n)
    return { ...clientRecord(client, Responses[0]!.Item!), owed }
  }

  /** Clients with a withdrawal under way. */
  async leaving(): Promise<string[]> {
    const clients: string[] = []
    let from: Record<string, unknown> | undefined
    do {
      const { Items = [], LastEvaluatedKey } = await this.#client.send(
        new QueryCommand({
          TableName: this.#table,
          KeyConditionExpression: 'PK = :pk',
          ExpressionAttributeValues: { ':pk': ledgerKeys.leaving('').PK },
          ConsistentRead: true,
          ExclusiveStartKey: from,
        }),
      )
      clients.push(...Items.map((item) => item['SK'] as string))
      from = LastEvaluatedKey
    } while (from)
    return clients
  }
  async leave(client: string): Promise<void> {
    await this.#client.send(new PutCommand({ TableName: this.#table, Item: ledgerKeys.leaving(client) }))
  }
  async stay(client: string): Promise<void> {
    await this.#client.send(new DeleteCommand({ TableName: this.#table, Key: ledgerKeys.leaving(client) }))
  }

  /** Takes up to `amount` out of the spendable balance for a withdrawal; returns how much there was. */
  async take({ client, accountId, out }: ClientRecord, amount: bigint): Promise<bigint> {
    let taken = 0n
    for (const part of await this.#spendable.parts(accountId, amount))
      if (await this.#move(client, out + taken, part.amount, this.#spendable.take(accountId, part)))
        taken += part.amount
    return taken
  }

  /** Gives back what was taken for a withdrawal that ended with less. */
  async giveBack({ client, accountId, out }: ClientRecord, amount: bigint): Promise<void> {
    await this.#move(client, out, -amount, {
      Update: {
        TableName: this.#table,
        Key: ledgerKeys.balance(accountId, 0),
        UpdateExpression: 'ADD available :amount',
        ExpressionAttributeValues: { ':amount': amount },
      },
    })
  }

  /** Changes what went out for a client together with the balance; false when either has changed meanwhile. */
  async #move(
    client: string,
    out: bigint,
    change: bigint,
    balance: NonNullable<TransactWriteCommandInput['TransactItems']>[number],
  ): Promise<boolean> {
    const record = {
      TableName: this.#table,
      Key: ledgerKeys.client(client),
      UpdateExpression: 'SET #out = :next',
      ConditionExpression: '#out = :out',
      ExpressionAttributeNames: { '#out': 'out' },
      ExpressionAttributeValues: { ':out': out, ':next': out + change },
    }
    const TransactItems = [{ Update: record }, balance]
    try {
      await throughContention(() => this.#client.send(new TransactWriteCommand({ TransactItems })))
      return true
    } catch (error) {
      if (cancellationReasons(error)?.includes(FAILED)) return false
      throw error
    }
  }
}

const clientRecord = (client: string, item: Record<string, unknown>): ClientRecord => ({
  client,
  accountId: item['accountId'] as string,
  credited: item['credited'] as bigint,
  out: item['out'] as bigint,
})
