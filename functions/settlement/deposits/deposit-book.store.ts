import {
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb'
import { ledgerClient } from '#ledger/ledger-table.store'
import type { Movements } from '#ledger/movements.store'
import type { Withdrawals } from '#ledger/withdrawals.store'
import { accountAt, backAccount } from '#registry/backing.store'
import type { Records } from '#registry/records.store'
import type { Deposit, DepositBook } from './scan-deposits.ts'

const UNMATCHED = 'DEPOSIT#UNMATCHED'

/** Deposits in the ledger table: how far an escrow was scanned, and what waits for an account. */
export class LedgerDeposits implements DepositBook {
  readonly #table: string
  readonly #cursor: { PK: string; SK: string }
  readonly #operator: { address: string; account: string } | undefined
  readonly #movements: Movements
  readonly #withdrawals: Withdrawals
  readonly #records: Records
  readonly #client: DynamoDBDocumentClient

  constructor(
    options: {
      table: string
      chainId: number
      escrow: string
      operator?: { address: string; account: string } | undefined
    },
    { movements, withdrawals }: { movements: Movements; withdrawals: Withdrawals },
    records: Records,
    client = ledgerClient(),
  ) {
    this.#table = options.table
    this.#cursor = { PK: 'DEPOSIT#CURSOR', SK: `${options.chainId}:${options.escrow.toLowerCase()}` }
    this.#operator = options.operator
    this.#movements = movements
    this.#withdrawals = withdrawals
    this.#records = records
    this.#client = client
  }

  async scannedTo(): Promise<number | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: this.#cursor, ConsistentRead: true }),
    )
    return Item && Number(Item['block'])
  }

  async setScannedTo(block: number): Promise<void> {
    const forward = new UpdateCommand({
      TableName: this.#table,
      Key: this.#cursor,
      UpdateExpression: 'SET #block = :block',
      ConditionExpression: 'attribute_not_exists(#block) OR #block < :block',
      ExpressionAttributeNames: { '#block': 'block' },
      ExpressionAttributeValues: { ':block': BigInt(block) },
    })
    await this.#client.send(forward).catch((error: Error) => {
      if (error.name !== 'ConditionalCheckFailedException') throw error
    })
  }

  async credit(deposit: Deposit, reference: string): Promise<'credited' | 'repeated' | 'no-account'> {
    const { client, amount } = deposit
    const accountId = client === this.#operator?.address ? this.#operator.account : await this.#owner(client)
    if (!accountId) return 'no-account'
    return (await this.#movements.creditDeposit(client, accountId, amount, reference)) ? 'credited' : 'repeated'
  }

  /** The account that may spend the client's deposits: it proved the address, and nobody else backs its balance. */
  async #owner(client: string): Promise<string | undefined> {
    const accountId = await accountAt(this.#records, client)
    return accountId && (await backAccount(this.#records, accountId, client)) ? accountId : undefined
  }

  leave(client: string): Promise<void> {
    return this.#withdrawals.leave(client)
  }

  async keepUnmatched(deposit: Deposit, reference: string): Promise<void> {
    await this.#client.send(
      new PutCommand({ TableName: this.#table, Item: { PK: UNMATCHED, SK: reference, ...deposit } }),
    )
  }

  async unmatched(): Promise<{ deposit: Deposit; reference: string }[]> {
    const { Items = [] } = await this.#client.send(
      new QueryCommand({
        TableName: this.#table,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': UNMATCHED },
      }),
    )
    return Items.map((item) => ({
      reference: item['SK'] as string,
      deposit: {
        client: item['client'] as string,
        amount: item['amount'] as bigint,
        transactionHash: item['transactionHash'] as string,
        logIndex: Number(item['logIndex']),
        block: Number(item['block']),
      },
    }))
  }

  async forgetUnmatched(reference: string): Promise<void> {
    await this.#client.send(new DeleteCommand({ TableName: this.#table, Key: { PK: UNMATCHED, SK: reference } }))
  }
}
