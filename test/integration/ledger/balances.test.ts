import { type DynamoDBDocumentClient, TransactWriteCommand } from '@aws-sdk/lib-dynamodb'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Balances } from '../../../functions/ledger/balances.store.ts'
import { Claims } from '../../../functions/ledger/claims.store.ts'
import { Epochs } from '../../../functions/ledger/epochs.store.ts'
import { ExpiredHolds } from '../../../functions/ledger/expired-holds.store.ts'
import { BALANCE_SHARDS, COUNTER_SHARDS } from '../../../functions/ledger/keys.ts'
import { ledgerClient } from '../../../functions/ledger/ledger-table.store.ts'
import { Movements } from '../../../functions/ledger/movements.store.ts'
import { Receipts } from '../../../functions/ledger/receipts.store.ts'
import type { Billing } from '../../../functions/schema/receipt.ts'
import { account, makeReceipt, receiptId } from '../../unit/epoch/epoch-factory.ts'
import { type LedgerBed, ledgerBed } from './ledger-bed.ts'

const ACCOUNT = account('client')
const NOW = 1_800_000_000
const code = (error: unknown) => (error as { code?: string }).code

let bed: LedgerBed
let table = ''
let balances: Balances
let claims: Claims
let expired: ExpiredHolds
let movements: Movements
let receipts: Receipts
let epochs: Epochs

beforeAll(async () => {
  bed = await ledgerBed()
})
afterAll(() => bed?.stop())
beforeEach(async () => {
  table = await bed.table()
  const client = ledgerClient(bed.raw)
  balances = new Balances(table, client)
  claims = new Claims(table, client)
  expired = new ExpiredHolds(table, client)
  movements = new Movements(table, client)
  receipts = new Receipts(table, ledgerClient(bed.raw))
  epochs = new Epochs(table, ledgerClient(bed.raw))
})

const credit = (amount: bigint, reference: string) =>
  movements.creditDeposit(`0x${'c1'.repeat(20)}`, ACCOUNT, amount, reference)

/** Every third to fourth transaction is cancelled before it is sent, as DynamoDB does under contention. */
const contended = (): { client: DynamoDBDocumentClient; conflicts: () => number } => {
  const client = ledgerClient(bed.raw)
  const send = client.send.bind(client)
  let writes = 0
  let conflicts = 0
  client.send = (async (command: never) => {
    if ((command as unknown) instanceof TransactWriteCommand && writes++ % 10 < 3) {
      conflicts++
      throw Object.assign(new Error('Transaction cancelled'), {
        name: 'TransactionCanceledException',
        CancellationReasons: [{ Code: 'TransactionConflict' }, { Code: 'None' }],
      })
    }
    return send(command)
  }) as typeof client.send
  return { client, conflicts: () => conflicts }
}

const reserve = (name: string | number, amount: bigint, store = balances, more: object = {}) =>
  store.reserve({ receiptId: receiptId(name), accountId: ACCOUNT, amount, expires: NOW + 960, now: NOW, ...more })
const billOf =
  (name: string | number, fee: bigint) =>
  ({ shard, sequence }: { shard: number; sequence: number }): Billing => ({
    ...makeReceipt({ name }).billing,
    payer: ACCOUNT,
    shard,
    sequence,
    fee: fee.toString(),
  })
const total = async () => {
  const { available, held, spent } = await balances.balance(ACCOUNT)
  return available + held + spent
}

describe('balances', () => {
  test('a deposit is credited once, however often it is seen', async () => {
    const seen = await Promise.all(Array.from({ length: 5 }, () => credit(1_003n, 'chain:tx:0')))
    expect(seen.filter(Boolean)).toHaveLength(1)
    expect(await credit(1_003n, 'chain:tx:0')).toBe(false)
    expect(await balances.balance(ACCOUNT)).toEqual({ available: 1_003n, held: 0n, spent: 0n })
    expect(await credit(7n, 'chain:tx:1')).toBe(true)
    expect((await balances.balance(ACCOUNT)).available).toBe(1_010n)
  })

  test('200 requests at once under contention: exact money, gapless sequences, only honest refusals', async () => {
    const { client, conflicts } = contended()
    const busy = new Balances(table, client)
    const credited = 15_000n
    await credit(credited, 'ref')
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        try {
          const hold = await reserve(i, 100n, busy)
          return await busy.settle(hold, billOf(i, 90n))
        } catch (error) {
          return code(error) ?? String(error)
        }
      }),
    )
    const settled = outcomes.filter((outcome) => typeof outcome !== 'string')
    expect(
      new Set(outcomes.filter((outcome) => typeof outcome === 'string')).difference(new Set(['insufficient-balance'])),
    ).toEqual(new Set())
    expect(conflicts()).toBeGreaterThan(50)
    expect(settled.length).toBeGreaterThanOrEqual(150)
    const sum = await balances.balance(ACCOUNT)
    expect(sum).toEqual({ available: credited - sum.spent, held: 0n, spent: BigInt(settled.length) * 90n })
    for (let shard = 0; shard < BALANCE_SHARDS; shard++) {
      const sequences = settled.filter((bill) => bill.shard === shard).map((bill) => bill.sequence)
      expect(sequences.sort((a, b) => a - b)).toEqual(sequences.map((_, i) => i + 1))
    }
  }, 60_000)

  test('402 comes only after the shards are pooled', async () => {
    await credit(800n, 'ref')
    const hold = await reserve('whole', 800n)
    expect(await balances.balance(ACCOUNT)).toEqual({ available: 0n, held: 800n, spent: 0n })
    expect(code(await reserve('more', 1n).catch((error) => error))).toBe('insufficient-balance')
    expect(await balances.release(hold, 800n)).toBe(true)
    expect(await balances.release(hold, 800n)).toBe(false)
    expect(code(await reserve('more', 801n).catch((error) => error))).toBe('insufficient-balance')
    expect(await total()).toBe(800n)
  })

  test('a request that died between reserve and settle is swept once, and cannot be settled afterwards', async () => {
    await credit(800n, 'ref')
    const hold = await reserve('dead', 500n)
    const waiting = async () =>
      (await Promise.all(Array.from({ length: COUNTER_SHARDS }, (_, i) => expired.waiting(i)))).flat()
    expect(await waiting()).toEqual([{ accountId: ACCOUNT, shard: hold.shard }])
    expect(await expired.sweep(ACCOUNT, hold.shard, NOW + 960)).toBe(0)
    const swept = await Promise.all([1, 2, 3].map(() => expired.sweep(ACCOUNT, hold.shard, NOW + 961)))
    expect(swept.reduce((a, b) => a + b)).toBe(1)
    await expired.sweep(ACCOUNT, hold.shard, NOW + 961)
    expect(await waiting()).toEqual([])
    expect(await balances.balance(ACCOUNT)).toEqual({ available: 800n, held: 0n, spent: 0n })
    expect(code(await balances.settle(hold, billOf('dead', 10n)).catch((error) => error))).toBe('gone')
    expect(await receipts.find(receiptId('dead'))).toBeUndefined()
  })

  test('settling twice gives the receipt of the first time', async () => {
    await credit(800n, 'ref')
    const hold = await reserve('twice', 80n)
    const first = await balances.settle(hold, billOf('twice', 30n))
    expect(await balances.settle(hold, billOf('twice', 70n))).toEqual(first)
    expect((await balances.balance(ACCOUNT)).spent).toBe(30n)
    expect((await receipts.get(receiptId('twice'))).billing).toEqual(first)
  })

  test('an Idempotency-Key belongs to one request; never anew once there is a receipt', async () => {
    const id = receiptId('key')
    const taken = await Promise.all([1, 2, 3, 4].map(() => claims.claim(id, NOW, 960)))
    expect(taken.filter(Boolean)).toHaveLength(1)
    await claims.unclaim(id)
    expect(await claims.claim(id, NOW, 960)).toBe(true)
    expect(await claims.claim(id, NOW + 960, 960)).toBe(false)
    expect(await claims.claim(id, NOW + 961, 960)).toBe(true)
    await credit(800n, 'ref')
    await balances.settle(await reserve('key', 80n), billOf('key', 30n))
    expect(await claims.claim(id, NOW + 5_000, 960)).toBe(false)
  })

  test('the budget of a key counts what was spent, not what was held', async () => {
    await credit(8_000n, 'ref')
    const key = { key: { id: 'key_1', budget: 100n } }
    await balances.settle(await reserve('a', 90n, balances, key), billOf('a', 10n))
    const hold = await reserve('b', 90n, balances, key)
    expect(code(await reserve('c', 1n, balances, key).catch((error) => error))).toBe('budget-exceeded')
    await expired.sweep(ACCOUNT, hold.shard, NOW + 961)
    await reserve('d', 90n, balances, key)
  })
})

describe('receipts', () => {
  test('are completed once under replay, and the epoch counts them exactly', async () => {
    const { client } = contended()
    const busy = new Receipts(table, client)
    await credit(80_000n, 'ref')
    const names = Array.from({ length: 20 }, (_, i) => i)
    for (const name of names) await balances.settle(await reserve(name, 100n), billOf(name, BigInt(name + 1)))
    const pending = async () =>
      (
        await Promise.all(
          Array.from({ length: COUNTER_SHARDS }, (_, i) => receipts.pendingSince(i, '9999-01-01T00:00:00.000Z')),
        )
      ).flat()
    expect((await pending()).sort()).toEqual(names.map(receiptId).sort())
    const done = await Promise.all(
      [1, 2, 1].flatMap((epoch) =>
        names.map((name) =>
          busy.complete(receiptId(name), makeReceipt({ name }).attribution, epoch, '2026-01-01T00:00:00.000Z'),
        ),
      ),
    )
    expect(done.filter(Boolean)).toHaveLength(names.length)
    const counts = await Promise.all([1, 2].map((epoch) => epochs.counted(epoch)))
    const stored = await Promise.all(names.map((name) => receipts.get(receiptId(name))))
    for (const [i, counted] of counts.entries()) {
      const own = stored.filter(({ epoch }) => epoch === i + 1)
      expect(counted).toEqual({
        receipts: BigInt(own.length),
        fees: own.reduce((sum, { billing }) => sum + BigInt(billing.fee), 0n),
      })
    }
    expect(stored.every(({ state }) => state === 'completed')).toBe(true)
    expect(await pending()).toEqual([])
    expect((await receipts.listOf(ACCOUNT, { limit: 50 })).items).toHaveLength(20)
  })
})
