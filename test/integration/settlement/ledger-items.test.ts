import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AccountBook } from '../../../functions/accounts/accounts.store.ts'
import { Balances } from '../../../functions/ledger/balances.store.ts'
import { ledgerClient } from '../../../functions/ledger/ledger-table.store.ts'
import { Movements } from '../../../functions/ledger/movements.store.ts'
import { Withdrawals } from '../../../functions/ledger/withdrawals.store.ts'
import { Objects } from '../../../functions/registry/objects.store.ts'
import { Records } from '../../../functions/registry/records.store.ts'
import { LedgerDeposits } from '../../../functions/settlement/deposits/deposit-book.store.ts'
import { EpochObjects } from '../../../functions/settlement/settler/epoch-files.store.ts'
import { newItem } from '../../../functions/settlement/settler/item.ts'
import { LedgerItems, releaseLease, takeLease } from '../../../functions/settlement/settler/ledger-items.store.ts'
import { LeaseLost } from '../../../functions/settlement/settler/ports.ts'
import { type LedgerBed, ledgerBed } from '../ledger/ledger-bed.ts'

let bed: LedgerBed
let objects: Objects
let table = ''

beforeAll(async () => {
  bed = await ledgerBed()
  objects = new Objects('receipts', await bed.bucket('receipts'))
})
afterAll(() => bed?.stop())
beforeEach(async () => {
  table = await bed.table()
})

const SIGNER = `0x${'5e'.repeat(20)}`
const TO = `0x${'70'.repeat(20)}`
const ROOT = `0x${'aa'.repeat(32)}`
const epoch = (number: number, root = ROOT, round = 0) => ({ number, root, round })
const open = async (owner: string, now: number) => {
  const lease = await takeLease(table, owner, now, 1_000, ledgerClient(bed.raw))
  return lease && { lease, store: new LedgerItems({ table, lease, signer: SIGNER }, ledgerClient(bed.raw)) }
}

describe('settlement items in DynamoDB', () => {
  test('come back as they were written', async () => {
    const { store } = (await open('a', 0))!
    const planned = await store.plan(newItem(epoch(1), 'propose', 0, TO))
    const given = await store.giveNonce({ ...planned, state: 'NONCED', data: '0x12', gasLimit: 2n ** 60n }, 3)
    const attempt = { raw: '0x02', hash: '0x03', maxFeePerGas: 2n ** 70n, maxPriorityFeePerGas: 1n, at: 5 }
    const signed = await store.save({ ...given, state: 'SIGNED', attempts: [attempt] })
    expect(await store.plan(newItem(epoch(1), 'propose', 0, TO))).toEqual(signed)
    expect(signed).toMatchObject({ nonce: 3, version: 3, gasLimit: 2n ** 60n })
    expect(await store.nextNonce()).toBe(4)
  })

  test('one settler at a time; a stale one cannot write', async () => {
    const first = (await open('a', 0))!
    expect(await open('b', 999)).toBeUndefined()
    const item = await first.store.plan(newItem(epoch(1), 'propose', 0, TO))
    const second = (await open('b', 1_000))!
    expect(second.lease.token).toBe(first.lease.token + 1)
    await expect(first.store.save({ ...item, state: 'NONCED' })).rejects.toThrow(LeaseLost)
    await expect(first.store.giveNonce(item, 0)).rejects.toThrow(LeaseLost)
    await expect(first.store.plan(newItem(epoch(2), 'propose', 0, TO))).rejects.toThrow(LeaseLost)
    expect(await second.store.plan(newItem(epoch(1), 'propose', 0, TO))).toEqual(item)
    await releaseLease(table, first.lease, ledgerClient(bed.raw))
    expect(await open('c', 1_001)).toBeUndefined()
    await releaseLease(table, second.lease, ledgerClient(bed.raw))
    expect(await open('c', 1_001)).toBeDefined()
  })

  test('a version is written once, a nonce is given once', async () => {
    const { store } = (await open('a', 0))!
    const item = await store.plan(newItem(epoch(1), 'propose', 0, TO))
    const other = await store.plan(newItem(epoch(1), 'activate', 0, TO))
    await store.giveNonce(item, 7)
    await expect(store.giveNonce(item, 8)).rejects.toThrow(LeaseLost)
    await expect(store.giveNonce(other, 7)).rejects.toThrow(LeaseLost)
    expect(await store.nextNonce()).toBe(8)
    expect((await store.plan(newItem(epoch(1), 'activate', 0, TO))).nonce).toBe(null)
  })

  test('only a vetoed item gives way, to another root or the next round of its own', async () => {
    const { store } = (await open('a', 0))!
    const other = `0x${'bb'.repeat(32)}`
    const item = await store.plan(newItem(epoch(1), 'propose', 0, TO))
    await expect(store.plan(newItem(epoch(1, other), 'propose', 0, TO))).rejects.toThrow('under way with another root')
    await store.save({ ...item, state: 'VETOED' })
    expect(await store.plan(newItem(epoch(1), 'propose', 0, TO))).toMatchObject({ state: 'VETOED' })
    const reopened = await store.plan(newItem(epoch(1, ROOT, 1), 'propose', 0, TO))
    expect(reopened).toMatchObject({ root: ROOT, round: 1, state: 'PLANNED' })
    await store.save({ ...reopened, state: 'VETOED' })
    expect(await store.plan(newItem(epoch(1, other), 'propose', 0, TO))).toMatchObject({
      root: other,
      state: 'PLANNED',
    })
  })
})

describe('epoch files in S3', () => {
  test('the first push plan stands', async () => {
    const files = new EpochObjects(objects)
    expect(await files.pushes(4)).toBeUndefined()
    expect(await files.fixPushes(4, [[1, 2], [5]])).toEqual([[1, 2], [5]])
    expect(await files.fixPushes(4, [[9]])).toEqual([[1, 2], [5]])
    expect(await files.pushes(4)).toEqual([[1, 2], [5]])
    await objects.put('epochs/4/epoch.json', '{"treeDepth":20}')
    await objects.put('epochs/4/tree/level-3.bin', new Uint8Array([1, 2]))
    expect(await files.depth(4)).toBe(20)
    expect(await files.level(4, 3)).toEqual(new Uint8Array([1, 2]))
  })
})

describe('payout addresses in DynamoDB', () => {
  test('an address is one account’s for good, also when two take it at once', async () => {
    const accounts = new AccountBook(new Records(table, ledgerClient(bed.raw)))
    const ids = ['a', 'b', 'c', 'd'].map((letter) => `acc_${letter.repeat(24)}`)
    for (const id of ids) await accounts.ensure(id, '', '2026-01-01T00:00:00.000Z')
    const wallet = `0x${'c1'.repeat(20)}`
    const outcomes = await Promise.allSettled(ids.map((id) => accounts.payTo(id, wallet)))
    const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
    expect(refusals).toEqual(['address-taken', 'address-taken', 'address-taken'])
    const winner = ids[outcomes.findIndex(({ status }) => status === 'fulfilled')]!
    await accounts.payTo(winner, `0x${'c2'.repeat(20)}`)
    const loser = ids.find((id) => id !== winner)!
    await expect(accounts.payTo(loser, wallet)).rejects.toMatchObject({ code: 'address-taken', param: 'address' })
    expect((await accounts.find(loser))!.address).toBeUndefined()
    expect((await accounts.payTo(winner, wallet)).address).toBe(wallet)
  })
})

describe('deposits in DynamoDB', () => {
  test('credit once, wait without an account, never move the cursor back', async () => {
    const records = new Records(table, ledgerClient(bed.raw))
    const balances = new Balances(table, ledgerClient(bed.raw))
    const movements = new Movements(table, ledgerClient(bed.raw))
    const withdrawals = new Withdrawals(table, ledgerClient(bed.raw))
    const book = new LedgerDeposits(
      { table, chainId: 7, escrow: TO },
      { movements, withdrawals },
      records,
      ledgerClient(bed.raw),
    )
    const client = `0x${'c1'.repeat(20)}`
    const account = 'acc_aaaaaaaaaaaaaaaaaaaaaaaa'
    const deposit = { client, amount: 2n ** 90n, transactionHash: '0xab', logIndex: 1, block: 12 }
    expect(await book.credit(deposit, '7:0xab:1')).toBe('no-account')
    await book.keepUnmatched(deposit, '7:0xab:1')
    expect(await book.unmatched()).toEqual([{ deposit, reference: '7:0xab:1' }])
    const accounts = new AccountBook(records)
    await accounts.ensure(account, '', '2026-01-01T00:00:00.000Z')
    await accounts.payTo(account, client)
    expect(await book.credit(deposit, '7:0xab:1')).toBe('credited')
    expect(await book.credit(deposit, '7:0xab:1')).toBe('repeated')
    expect((await balances.balance(account)).available).toBe(2n ** 90n)
    await book.forgetUnmatched('7:0xab:1')
    // The account moves its payouts: deposits of its new address are not its balance's, which the first one backs.
    const home = `0x${'c2'.repeat(20)}`
    expect(await accounts.payTo(account, home)).toMatchObject({ address: home, backedBy: client })
    expect(await book.credit({ ...deposit, client: home }, '7:0xab:2')).toBe('no-account')
    expect(await book.credit(deposit, '7:0xab:3')).toBe('credited')
    expect(await book.unmatched()).toEqual([])
    expect(await book.scannedTo()).toBeUndefined()
    await book.setScannedTo(20)
    await book.setScannedTo(12)
    expect(await book.scannedTo()).toBe(20)
  })
})
