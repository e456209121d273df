import { describe, expect, test } from 'vitest'
import {
  type Deposit,
  type DepositBook,
  type DepositSource,
  depositReference,
  RangeTooLarge,
  scanDeposits,
} from '../../../functions/settlement/deposits/scan-deposits.ts'

const deposit = (block: number, logIndex = 0, client = '0xaa'): Deposit => ({
  client,
  amount: 10n,
  transactionHash: `0xAB${block}`,
  logIndex,
  block,
})

const world = (logs: Deposit[], final: number, accounts = new Set(['0xaa'])) => {
  const credits = new Map<string, bigint>()
  const waiting = new Map<string, Deposit>()
  const scans: [number, number][] = []
  const state = { cursor: undefined as number | undefined, final, maxRange: 1_000, failAt: 0 }
  const source: DepositSource = {
    finalBlock: async () => state.final,
    latestBlock: async () => state.final,
    requests: async () => [],
    deposits: async (from, to) => {
      if (to - from + 1 > state.maxRange) throw new RangeTooLarge()
      scans.push([from, to])
      return logs.filter(({ block }) => block >= from && block <= to)
    },
  }
  const book: DepositBook = {
    scannedTo: async () => state.cursor,
    setScannedTo: async (block) => {
      state.cursor = Math.max(state.cursor ?? 0, block)
    },
    credit: async ({ client, amount }, reference) => {
      if (!accounts.has(client)) return 'no-account'
      if (credits.size + 1 === state.failAt) throw new Error('table is away')
      if (credits.has(reference)) return 'repeated'
      credits.set(reference, amount)
      return 'credited'
    },
    leave: async () => {},
    keepUnmatched: async (found, reference) => {
      waiting.set(reference, found)
    },
    unmatched: async () => [...waiting].map(([reference, found]) => ({ reference, deposit: found })),
    forgetUnmatched: async (reference) => {
      waiting.delete(reference)
    },
  }
  const scan = () => scanDeposits(source, book, { chainId: 7, fromBlock: 3, overlap: 5, range: 10 })
  return { scan, credits, waiting, scans, state, accounts, logs }
}

describe('deposits', () => {
  test('are credited up to the final block, once, keyed by their log', async () => {
    const { scan, credits, state, scans } = world([deposit(3), deposit(3, 1), deposit(14), deposit(21)], 20)
    const first = await scan()
    expect([...credits.keys()]).toEqual(['7:0xab3:0', '7:0xab3:1', '7:0xab14:0'])
    expect(first).toMatchObject({ scannedTo: 20, unmatched: 0 })
    expect(scans).toEqual([
      [3, 12],
      [13, 20],
    ])
    state.final = 21
    expect((await scan()).credited.map(({ reference }) => reference)).toEqual(['7:0xab21:0'])
    expect(scans.at(-1)).toEqual([16, 21])
    expect((await scan()).credited).toEqual([])
  })

  test('a log that appears late inside the overlap is credited', async () => {
    const { scan, credits, state, logs } = world([], 20)
    await scan()
    logs.push(deposit(17))
    state.final = 21
    await scan()
    expect(credits.size).toBe(1)
  })

  test('a failure in the middle loses nothing and credits nothing twice', async () => {
    const { scan, credits, state } = world([deposit(4), deposit(5), deposit(15)], 20)
    state.failAt = 2
    await expect(scan()).rejects.toThrow('table is away')
    expect([credits.size, state.cursor]).toEqual([1, undefined])
    state.failAt = 0
    await scan()
    expect(credits.size).toBe(3)
  })

  test('wait for an account that names their address', async () => {
    const { scan, credits, waiting, accounts, state } = world([deposit(4, 0, '0xbb')], 20)
    expect(await scan()).toMatchObject({ unmatched: 1, credited: [] })
    state.final = 60
    expect(await scan()).toMatchObject({ unmatched: 1 })
    accounts.add('0xbb')
    expect((await scan()).credited).toHaveLength(1)
    expect([credits.size, waiting.size]).toEqual([1, 0])
  })

  test('halve the range when the node refuses it, and fail when it refuses one block', async () => {
    const { scan, credits, state } = world([deposit(4), deposit(19)], 20)
    state.maxRange = 3
    await scan()
    expect(credits.size).toBe(2)
    state.final = 30
    state.maxRange = 0
    await expect(scan()).rejects.toThrow('refuses even block')
  })

  test('a head behind the cursor moves nothing back', async () => {
    const { scan, state } = world([], 20)
    await scan()
    state.final = 12
    expect((await scan()).scannedTo).toBe(20)
    expect(state.cursor).toBe(20)
  })

  test('references do not depend on the case of the hash', () => {
    expect(depositReference(1, deposit(4))).toBe('1:0xab4:0')
  })
})
