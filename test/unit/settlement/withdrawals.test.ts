import { describe, expect, test } from 'vitest'
import { type EscrowClient, followWithdrawals } from '../../../functions/settlement/deposits/follow-withdrawals.ts'
import { EscrowDeficit, type ReconcilePorts, reconcile } from '../../../functions/settlement/deposits/reconcile.ts'
import { packLeaf } from '../../../functions/settlement/epoch/leaf.ts'

const ANN = `0x${'a1'.repeat(20)}`
const BOB = `0x${'b0'.repeat(20)}`

describe('following withdrawals', () => {
  const world = () => {
    const none: EscrowClient = { deposited: 100n, withdrawn: 0n, requested: 0n }
    const chain = { latest: { ...none }, final: { ...none } }
    const state = { spendable: 100n, out: 0n, leaving: true }
    const follow = () =>
      followWithdrawals(
        { client: async (_address, view) => chain[view] },
        {
          leaving: async () => (state.leaving ? [ANN] : []),
          client: async () => ({ client: ANN, accountId: 'acc', credited: 100n, out: state.out }),
          take: async (_client, amount) => {
            const taken = amount < state.spendable ? amount : state.spendable
            state.spendable -= taken
            state.out += taken
            return taken
          },
          giveBack: async (_client, amount) => {
            state.spendable += amount
            state.out -= amount
          },
          stay: async () => {
            state.leaving = false
          },
        },
      )
    return { chain, state, follow }
  }

  test('a request lowers the balance from the latest block on; a cancelled one comes back when that is final', async () => {
    const { chain, state, follow } = world()
    chain.latest.requested = 40n
    expect(await follow()).toEqual([{ client: ANN, taken: '40' }])
    expect(state).toEqual({ spendable: 60n, out: 40n, leaving: true })
    chain.final.requested = 40n
    chain.latest.requested = 0n // cancelled, not yet final
    expect(await follow()).toEqual([])
    chain.final.requested = 0n
    expect(await follow()).toEqual([{ client: ANN, taken: '-40' }])
    expect(state).toEqual({ spendable: 100n, out: 0n, leaving: false })
  })
  test('a request that a reorganisation took away gives the money back once', async () => {
    const { chain, state, follow } = world()
    chain.latest.requested = 100n
    await follow()
    chain.latest.requested = 0n
    await follow()
    await follow()
    expect(state).toEqual({ spendable: 100n, out: 0n, leaving: false })
  })
  test('money that is held is taken as it becomes free, and a payout of less returns the rest', async () => {
    const { chain, state, follow } = world()
    state.spendable = 30n // 70 are held by requests under way
    chain.latest.requested = chain.final.requested = 100n
    await follow()
    expect([state.spendable, state.out]).toEqual([0n, 30n])
    state.spendable = 50n // 20 were spent, 50 came back
    await follow()
    expect([state.spendable, state.out, state.leaving]).toEqual([0n, 80n, true])
    Object.assign(chain.latest, { withdrawn: 80n, requested: 0n }) // the escrow pays deposits less proved spending
    Object.assign(chain.final, chain.latest)
    await follow()
    expect([state.spendable, state.out, state.leaving]).toEqual([0n, 80n, false])
  })
})

describe('reconciling the escrow', () => {
  const leaves = (spent: [string, bigint][]) =>
    Buffer.concat([
      packLeaf({ kind: 1, address: BOB, amount: 9n }),
      ...spent.map(([address, amount]) => packLeaf({ kind: 2, address, amount })),
    ])
  const ports = (change: Partial<ReconcilePorts> = {}): ReconcilePorts => ({
    finalBlock: async () => 12,
    clients: async (addresses) => addresses.map(() => ({ deposited: 100n, withdrawn: 10n, requested: 0n })),
    pool: async () => ({ held: 50n, funded: 40n }),
    ledger: async () => ({ credited: 100n, out: 10n, owed: 90n }),
    ...change,
  })
  const check = (change: Partial<ReconcilePorts> = {}, spent = 90n) =>
    reconcile(leaves([[ANN, spent]]), [], ports(change))

  test('holds to the last unit, and surplus does not stop it', async () => {
    expect(await check()).toEqual({ block: 12, clients: 1, surplus: 0n })
    const less = { credited: 70n, out: 10n, owed: 60n }
    expect(await check({ ledger: async () => less })).toMatchObject({ surplus: 30n })
    expect(await check({ ledger: async () => undefined })).toMatchObject({ clients: 1 })
  })
  test.each([
    ['spending above the deposits', {}, 91n, `${ANN} spent 91 of 100 deposited less 10 withdrawn`],
    [
      'a credit that the chain does not have',
      { ledger: async () => ({ credited: 101n, out: 10n, owed: 90n }) },
      90n,
      'credited 101, deposited 100',
    ],
    [
      'books that owe more than came in',
      { ledger: async () => ({ credited: 100n, out: 10n, owed: 91n }) },
      90n,
      'is owed 91 of 100',
    ],
    [
      'a pool that is short',
      { pool: async () => ({ held: 49n, funded: 40n }) },
      90n,
      'the pool holds 49, 50 are still to be drawn',
    ],
  ] as const)('%s by one unit is a deficit', async (_name, change, spent, why) => {
    const failed = check(change, spent)
    await expect(failed).rejects.toThrow(EscrowDeficit)
    await expect(failed).rejects.toThrow(why)
  })
  test('spending that nobody backs is a deficit', async () => {
    const waiting = [{ client: 'acc_x', amount: '5' }]
    await expect(reconcile(leaves([[ANN, 90n]]), waiting, ports())).rejects.toThrow(
      'acc_x spent 5 that no escrow client carries',
    )
  })
})
