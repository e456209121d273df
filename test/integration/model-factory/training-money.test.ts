import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { Balances } from '../../../functions/ledger/balances.store.ts'
import { Claims } from '../../../functions/ledger/claims.store.ts'
import { ExpiredHolds } from '../../../functions/ledger/expired-holds.store.ts'
import { BALANCE_SHARDS } from '../../../functions/ledger/keys.ts'
import { ledgerClient } from '../../../functions/ledger/ledger-table.store.ts'
import { Movements } from '../../../functions/ledger/movements.store.ts'
import { OpenHolds } from '../../../functions/ledger/open-holds.store.ts'
import { Receipts } from '../../../functions/ledger/receipts.store.ts'
import {
  START_HOLD_SECONDS,
  TrainingCharge,
  trainingReceiptId,
} from '../../../functions/model-factory/training-charge.ts'
import type { Adapter } from '../../../functions/schema/models.ts'
import { account, makeReceipt } from '../../unit/epoch/epoch-factory.ts'
import { training as trainingOf } from '../../unit/model-factory/recipes.ts'
import { type LedgerBed, ledgerBed } from '../ledger/ledger-bed.ts'

/** The ledger's own stores on the embedded DynamoDB: what a training holds, costs and gives back. */
let bed: LedgerBed
let clock = 1_800_000_000
let balances: Balances
let expired: ExpiredHolds
let movements: Movements
let receipts: Receipts
let charges: TrainingCharge

const OWNER = account('builder')
const training = trainingOf({ owner: OWNER, pricePerSecond: '10', worstCost: '36000' })
const { billing } = makeReceipt({ name: 1 })
const adapter = { ...billing, id: billing.adapterId, name: billing.adapterName } as unknown as Adapter
const terms = billing.datanets.map(({ id, ...rest }) => ({ datanetId: id, ...rest }))
const settle = (seconds: number) =>
  charges.settle(training, adapter, terms, seconds, { payee: account('platform'), at: '2026-11-24T00:00:00.000Z' })
const sweep = async () => {
  let freed = 0
  for (let shard = 0; shard < BALANCE_SHARDS; shard++) freed += await expired.sweep(OWNER, shard, clock)
  return freed
}

beforeAll(async () => {
  bed = await ledgerBed()
})
afterAll(() => bed?.stop())
beforeEach(async () => {
  const table = await bed.table()
  balances = new Balances(table, ledgerClient(bed.raw))
  expired = new ExpiredHolds(table, ledgerClient(bed.raw))
  movements = new Movements(table, ledgerClient(bed.raw))
  const claims = new Claims(table, ledgerClient(bed.raw))
  receipts = new Receipts(table, ledgerClient(bed.raw))
  const holds = new OpenHolds(table, ledgerClient(bed.raw))
  charges = new TrainingCharge({
    claim: (id) => claims.claim(id, clock, 60),
    unclaim: (id) => claims.unclaim(id),
    findHold: (accountId, id) => holds.find(accountId, id),
    reserve: (hold) => balances.reserve({ ...hold, now: clock, expires: clock + START_HOLD_SECONDS }),
    extend: (hold, seconds) => holds.extend(hold, clock + seconds),
    release: (hold) => balances.release(hold, hold.amount),
    settle: (hold, bill) => balances.settle(hold, bill),
  })
  await movements.creditDeposit(`0x${'c1'.repeat(20)}`, OWNER, 50_000n, 'ref')
})

test('the worst case is held once, the billable seconds are charged once, the rest comes back', async () => {
  expect(await charges.hold(training)).toBe(true)
  expect(await charges.hold(training)).toBe(false)
  expect(await balances.balance(OWNER)).toEqual({ available: 14_000n, held: 36_000n, spent: 0n })
  await charges.keep(training, true)
  const first = await settle(123)
  expect(first).toMatchObject({ fee: '1230', platformFee: '1230', net: '0', training: { seconds: 123 } })
  expect(await settle(200)).toEqual(first)
  expect(await balances.balance(OWNER)).toEqual({ available: 48_770n, held: 0n, spent: 1_230n })
  await charges.release(training)
  expect(await balances.balance(OWNER)).toEqual({ available: 48_770n, held: 0n, spent: 1_230n })
  expect((await receipts.get(trainingReceiptId(training))).billing).toEqual(first)
})

test('a job that ran over its limit is charged the limit, never more than was held', async () => {
  await charges.hold(training)
  expect((await settle(99_999))?.fee).toBe('36000')
})

test('twenty starts at once hold once; a retry is another hold', async () => {
  const made = await Promise.allSettled(Array.from({ length: 20 }, () => charges.hold(training)))
  expect(made.filter((one) => one.status === 'fulfilled' && one.value)).toHaveLength(1)
  for (const one of made) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'request-in-flight' })
  expect((await balances.balance(OWNER)).held).toBe(36_000n)
  await charges.release(training)
  expect(await charges.hold({ ...training, attempt: 2 })).toBe(true)
  expect(await balances.balance(OWNER)).toEqual({ available: 14_000n, held: 36_000n, spent: 0n })
})

test('a short balance is 402, holds nothing, and the same start works after a deposit', async () => {
  const dear = { ...training, worstCost: '50001' }
  await expect(charges.hold(dear)).rejects.toMatchObject({ code: 'insufficient-balance', status: 402 })
  expect(await balances.balance(OWNER)).toEqual({ available: 50_000n, held: 0n, spent: 0n })
  await movements.creditDeposit(`0x${'c1'.repeat(20)}`, OWNER, 1n, 'more')
  expect(await charges.hold(dear)).toBe(true)
})

test('a failed training gives everything back, once', async () => {
  await charges.hold(training)
  await charges.release(training)
  await charges.release(training)
  expect(await balances.balance(OWNER)).toEqual({ available: 50_000n, held: 0n, spent: 0n })
  await expect(settle(10)).rejects.toMatchObject({ code: 'gone' })
})

test('a start that died is swept after an hour; a flow that goes on keeps its money', async () => {
  await charges.hold(training)
  clock += START_HOLD_SECONDS + 1
  expect(await sweep()).toBe(1)
  await expect(charges.keep(training, false)).rejects.toMatchObject({ code: 'gone' })
  await charges.hold(training)
  await charges.keep(training, false)
  clock += 20_000
  expect(await sweep()).toBe(0)
  clock += 100_000
  expect(await sweep()).toBe(1)
  expect(await balances.balance(OWNER)).toEqual({ available: 50_000n, held: 0n, spent: 0n })
})
