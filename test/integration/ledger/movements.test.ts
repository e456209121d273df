import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { creditFromOperator } from '../../../functions/accounts/operator-credit.ts'
import { Balances } from '../../../functions/ledger/balances.store.ts'
import { ledgerClient } from '../../../functions/ledger/ledger-table.store.ts'
import { Movements } from '../../../functions/ledger/movements.store.ts'
import { Withdrawals } from '../../../functions/ledger/withdrawals.store.ts'
import { account, makeReceipt, receiptId } from '../../unit/epoch/epoch-factory.ts'
import { type LedgerBed, ledgerBed } from './ledger-bed.ts'

const CLIENT = `0x${'c1'.repeat(20)}`
const ANN = account('ann')
const OPERATOR = account('operator')
const code = (error: unknown) => (error as { code?: string }).code

let bed: LedgerBed
let movements: Movements
let withdrawals: Withdrawals
let balances: Balances

beforeAll(async () => {
  bed = await ledgerBed()
})
afterAll(() => bed?.stop())
beforeEach(async () => {
  const table = await bed.table()
  movements = new Movements(table, ledgerClient(bed.raw))
  withdrawals = new Withdrawals(table, ledgerClient(bed.raw))
  balances = new Balances(table, ledgerClient(bed.raw))
})

test('a deposit, its spending and a withdrawal stay one sum, to the unit', async () => {
  const deposited = 10n ** 20n + 7n
  expect(await movements.creditDeposit(CLIENT, ANN, deposited, '1:0xaa:0')).toBe(true)
  expect(await movements.creditDeposit(CLIENT, ANN, deposited, '1:0xaa:0')).toBe(false)
  const { billing } = makeReceipt({ name: 1 })
  const hold = await balances.reserve({
    receiptId: receiptId(1),
    accountId: ANN,
    amount: BigInt(billing.fee) * 2n,
    expires: 2_000_000_000,
    now: 1_800_000_000,
  })
  expect(await withdrawals.snapshot(CLIENT)).toEqual({
    ...{ client: CLIENT, accountId: ANN, credited: deposited, out: 0n },
    owed: deposited,
  })
  await balances.settle(hold, (position) => ({ ...billing, ...position }))
  // Asked for more than is there: what is there goes, the rest when there is more.
  const left = deposited - BigInt(billing.fee)
  expect(await withdrawals.take((await withdrawals.client(CLIENT))!, deposited)).toBe(left)
  expect((await balances.balance(ANN)).available).toBe(0n)
  const taken = await withdrawals.snapshot(CLIENT)
  expect([taken!.out, taken!.owed]).toEqual([left, BigInt(billing.fee)])
  await withdrawals.giveBack((await withdrawals.client(CLIENT))!, 5n)
  await withdrawals.giveBack({ ...taken! }, 5n) // a stale look moves nothing
  expect((await balances.balance(ANN)).available).toBe(5n)
  expect(await movements.refund(ANN, 3n, 'refund:1:ann')).toBe(true)
  expect(await movements.refund(ANN, 3n, 'refund:1:ann')).toBe(false)
  const end = (await withdrawals.snapshot(CLIENT))!
  expect(await balances.balance(ANN)).toEqual({ available: 8n, held: 0n, spent: BigInt(billing.fee) - 3n })
  expect(end.owed).toBe(end.credited - end.out)
  // More than was ever spent comes from a fault: nothing moves, and the account can still be read.
  await expect(movements.refund(ANN, BigInt(billing.fee), 'refund:2:ann')).rejects.toMatchObject({
    code: 'wrong-state',
  })
  expect(await balances.balance(ANN)).toEqual({ available: 8n, held: 0n, spent: BigInt(billing.fee) - 3n })
  expect(await movements.refund(ANN, BigInt(billing.fee) - 3n, 'refund:2:ann')).toBe(true)
  expect((await balances.balance(ANN)).spent).toBe(0n)
})

test('operator credit is a transfer that the escrow backs, once per reference', async () => {
  const backed = new Map<string, string>([[account('depositor'), CLIENT]])
  const ports = {
    back: async (id: string) => (backed.get(id) ?? 'operator') === 'operator',
    spendable: (id: string) => movements.spendable(id),
    done: (reference: string) => movements.done(reference),
    transfer: movements.transfer.bind(movements),
  }
  const give = (to: string, amount: bigint, reference: string) =>
    creditFromOperator(ports, { operator: OPERATOR, accountId: to, amount, reference })
  await expect(give(ANN, 5n, 'a')).rejects.toMatchObject({ code: 'insufficient-balance', param: 'amount' })
  await movements.creditDeposit(CLIENT, OPERATOR, 100n, '1:0xaa:0')
  expect(await give(ANN, 60n, 'a')).toBe(true)
  expect(await give(ANN, 60n, 'a')).toBe(false)
  await expect(give(ANN, 41n, 'b')).rejects.toMatchObject({ code: 'insufficient-balance' })
  await expect(give(account('depositor'), 1n, 'c')).rejects.toMatchObject({ code: 'wrong-state' })
  await expect(give(ANN, 0n, 'd')).rejects.toMatchObject({ code: 'invalid-request' })
  expect([await movements.spendable(OPERATOR), await movements.spendable(ANN)]).toEqual([40n, 60n])
})

test('ten credits at once never give more than the operator has', async () => {
  await movements.creditDeposit(CLIENT, OPERATOR, 100n, '1:0xaa:0')
  const outcomes = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) => movements.transfer(OPERATOR, ANN, 30n, `operator:${i}`)),
  )
  const done = outcomes.filter(({ status }) => status === 'fulfilled').length
  expect(done).toBeLessThanOrEqual(3)
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(['insufficient-balance', 'overloaded']).toContain(code(outcome.reason))
  expect(await movements.spendable(ANN)).toBe(30n * BigInt(done))
  expect((await movements.spendable(OPERATOR)) + 30n * BigInt(done)).toBe(100n)
})

test('clients that leave are on a list until they are done', async () => {
  await withdrawals.leave(CLIENT)
  await withdrawals.leave(CLIENT)
  expect(await withdrawals.leaving()).toEqual([CLIENT])
  await withdrawals.stay(CLIENT)
  expect(await withdrawals.leaving()).toEqual([])
})
