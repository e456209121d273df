import {
  type DynamoDBDocumentClient,
  GetCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb'
import { ledgerClient } from '#ledger/ledger-table.store'
import { type Attempt, type Item, itemName } from './item.ts'
import { LeaseLost, type SettlementStore } from './ports.ts'

/** The right to write, until `expires` (unix ms) and until someone takes a higher token. */
export interface Lease {
  owner: string
  token: number
}

type Write = NonNullable<TransactWriteCommandInput['TransactItems']>[number]

const LEASE = { PK: 'SETTLEMENT#LEASE', SK: 'META' }
const itemKey = (item: Item) => ({ PK: `SETTLEMENT#${String(item.epoch).padStart(10, '0')}`, SK: itemName(item) })
const nonceKey = (signer: string) => ({ PK: 'SETTLEMENT#NONCE', SK: signer.toLowerCase() })
const failed = (error: unknown): boolean =>
  ['ConditionalCheckFailedException', 'TransactionCanceledException'].includes((error as Error).name)

/** Takes the lease if nobody holds it. @returns undefined when another settler is at work */
export const takeLease = async (
  table: string,
  owner: string,
  now: number,
  ttlMs: number,
  client = ledgerClient(),
): Promise<Lease | undefined> => {
  try {
    const { Attributes } = await client.send(
      new UpdateCommand({
        TableName: table,
        Key: LEASE,
        UpdateExpression: 'SET #owner = :owner, expires = :until ADD #token :one',
        ConditionExpression: 'attribute_not_exists(expires) OR expires <= :now',
        ExpressionAttributeNames: { '#owner': 'owner', '#token': 'token' },
        ExpressionAttributeValues: { ':owner': owner, ':until': BigInt(now + ttlMs), ':now': BigInt(now), ':one': 1n },
        ReturnValues: 'ALL_NEW',
      }),
    )
    return { owner, token: Number(Attributes!['token']) }
  } catch (error) {
    if (failed(error)) return undefined
    throw error
  }
}

/** Gives it back early, so that the next tick need not wait. */
export const releaseLease = async (table: string, lease: Lease, client = ledgerClient()): Promise<void> => {
  const release = new UpdateCommand({
    TableName: table,
    Key: LEASE,
    UpdateExpression: 'SET expires = :zero',
    ConditionExpression: '#token = :token',
    ExpressionAttributeNames: { '#token': 'token' },
    ExpressionAttributeValues: { ':zero': 0n, ':token': BigInt(lease.token) },
  })
  await client.send(release).catch((error) => {
    if (!failed(error)) throw error
  })
}

/** Items in the ledger table. Every write is one transaction with a check of the lease's fencing token. */
export class LedgerItems implements SettlementStore {
  readonly #table: string
  readonly #lease: Lease
  readonly #signer: string
  readonly #client: DynamoDBDocumentClient

  constructor(options: { table: string; lease: Lease; signer: string }, client = ledgerClient()) {
    this.#table = options.table
    this.#lease = options.lease
    this.#signer = options.signer
    this.#client = client
  }

  async plan(item: Item): Promise<Item> {
    const stored = await this.#read(item)
    if (stored && stored.root === item.root && stored.round === item.round) return stored
    if (stored && stored.state !== 'VETOED')
      throw new Error(`${itemName(item)} of epoch ${item.epoch} is under way with another root: ${stored.root}`)
    return this.#write({ ...item, version: stored?.version ?? 0 }, [])
  }

  save(item: Item): Promise<Item> {
    return this.#write(item, [])
  }

  async nextNonce(): Promise<number> {
    const { Item: found } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: nonceKey(this.#signer), ConsistentRead: true }),
    )
    return Number(found?.['next'] ?? 0n)
  }

  giveNonce(item: Item, nonce: number): Promise<Item> {
    const count: Write = {
      Update: {
        TableName: this.#table,
        Key: nonceKey(this.#signer),
        UpdateExpression: 'SET #next = :next',
        ConditionExpression: 'attribute_not_exists(#next) OR #next <= :nonce',
        ExpressionAttributeNames: { '#next': 'next' },
        ExpressionAttributeValues: { ':next': BigInt(nonce + 1), ':nonce': BigInt(nonce) },
      },
    }
    return this.#write({ ...item, nonce }, [count])
  }

  async #read(item: Item): Promise<Item | undefined> {
    const { Item: found } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key: itemKey(item), ConsistentRead: true }),
    )
    return found && fromRecord(JSON.parse(found['item'] as string), Number(found['version']))
  }

  async #write(item: Item, more: Write[]): Promise<Item> {
    const next = { ...item, version: item.version + 1 }
    const put: Write = {
      Put: {
        TableName: this.#table,
        Item: { ...itemKey(item), item: toRecord(next), state: next.state, version: BigInt(next.version) },
        ConditionExpression: item.version === 0 ? 'attribute_not_exists(PK)' : '#version = :version',
        ...(item.version === 0
          ? {}
          : {
              ExpressionAttributeNames: { '#version': 'version' },
              ExpressionAttributeValues: { ':version': BigInt(item.version) },
            }),
      },
    }
    const fence: Write = {
      ConditionCheck: {
        TableName: this.#table,
        Key: LEASE,
        ConditionExpression: '#token = :token',
        ExpressionAttributeNames: { '#token': 'token' },
        ExpressionAttributeValues: { ':token': BigInt(this.#lease.token) },
      },
    }
    try {
      await this.#client.send(new TransactWriteCommand({ TransactItems: [fence, put, ...more] }))
    } catch (error) {
      if (failed(error)) throw new LeaseLost(`another settler took over ${itemName(item)} of epoch ${item.epoch}`)
      throw error
    }
    return next
  }
}

const toRecord = (item: Item): string =>
  JSON.stringify(item, (_, value) => (typeof value === 'bigint' ? String(value) : value))

const fromRecord = (record: Item, version: number): Item => ({
  ...record,
  // Items of before have none.
  round: record.round ?? 0,
  version,
  gasLimit: BigInt(record.gasLimit),
  attempts: record.attempts.map((attempt: Attempt) => ({
    ...attempt,
    maxFeePerGas: BigInt(attempt.maxFeePerGas),
    maxPriorityFeePerGas: BigInt(attempt.maxPriorityFeePerGas),
  })),
})
