import { afterAll, beforeAll, expect, test } from 'vitest'
import { EscrowLogs } from '../../../functions/settlement/deposits/escrow.client.ts'
import { EscrowState } from '../../../functions/settlement/deposits/escrow-state.client.ts'
import { followWithdrawals, type WithdrawalBook } from '../../../functions/settlement/deposits/follow-withdrawals.ts'
import { reconcile } from '../../../functions/settlement/deposits/reconcile.ts'
import { type DepositBook, scanDeposits } from '../../../functions/settlement/deposits/scan-deposits.ts'
import { packLeaf } from '../../../functions/settlement/epoch/leaf.ts'
import { LocalChain } from './local-chain.ts'

const OPEN = 10n ** 18n
let chain: LocalChain
let logs: EscrowLogs
const identity = () => ({
  chainId: 31_337,
  contract: chain.deployment.contracts.escrow,
  codeHash: chain.deployment.codeHashes['escrow']!,
})
beforeAll(async () => {
  chain = await LocalChain.start(2)
  logs = new EscrowLogs(chain.rpc, identity(), 'finalized')
})
afterAll(() => {
  chain?.stop()
})

test('deposits on a chain are credited when final, once, and not after a reorganisation took them away', async () => {
  const credits = new Map<string, { client: string; amount: bigint }>()
  let cursor: number | undefined
  const book: DepositBook = {
    scannedTo: async () => cursor,
    setScannedTo: async (block) => {
      cursor = Math.max(cursor ?? 0, block)
    },
    credit: async ({ client, amount }, reference) => {
      if (credits.has(reference)) return 'repeated'
      credits.set(reference, { client, amount })
      return 'credited'
    },
    leave: async () => {},
    keepUnmatched: async () => {},
    unmatched: async () => [],
    forgetUnmatched: async () => {},
  }
  const scan = () =>
    scanDeposits(logs, book, { chainId: 31_337, fromBlock: chain.deployment.fromBlock, overlap: 4, range: 3 })

  const kept = await chain.deposit(7n * OPEN)
  await scan()
  expect(credits.size).toBe(0)
  await chain.mine(2)
  await scan()
  expect([...credits]).toEqual([
    [`31337:${kept.transactionHash}:1`, { client: chain.client.address.toLowerCase(), amount: 7n * OPEN }],
  ])
  await chain.deposit(9n * OPEN)
  await scan()
  await chain.rpc.send('anvil_rollback', [1])
  chain.deployer.reset()
  await chain.mine(4)
  await scan()
  expect(credits.size).toBe(1)
  await chain.deposit(11n * OPEN)
  await chain.mine(2)
  await scan()
  expect([...credits.values()].map(({ amount }) => amount)).toEqual([7n * OPEN, 11n * OPEN])
})

test.each([
  ['another chain behind the RPC', { chainId: 1612 }, 'serves chain 31337, not 1612'],
  ['other code at the address', { codeHash: `0x${'1'.repeat(64)}` }, 'has the hash'],
  ['no code at the address', { contract: `0x${'1'.repeat(40)}` }, 'has the hash'],
] as const)('%s is refused, and nothing is read', async (_name, change, why) => {
  const wrong = new EscrowLogs(chain.rpc, { ...identity(), ...change }, 'finalized')
  await expect(wrong.finalBlock()).rejects.toThrow(why)
})

test('a withdrawal leaves the spendable balance at the block of its request, and the escrow reconciles', async () => {
  const snapshot = await chain.rpc.send('evm_snapshot', [])
  const address = chain.client.address.toLowerCase()
  const state = new EscrowState(chain.rpc, identity(), 'finalized')
  const before = await chain.escrow['availableOf']!(address)
  const books = { spendable: before as bigint, out: 0n, leaving: new Set<string>() }
  let cursor = (await logs.finalBlock()) as number | undefined
  const book: DepositBook & WithdrawalBook = {
    scannedTo: async () => cursor,
    setScannedTo: async (block) => {
      cursor = block
    },
    credit: async () => 'repeated',
    leave: async (client) => {
      books.leaving.add(client)
    },
    keepUnmatched: async () => {},
    unmatched: async () => [],
    forgetUnmatched: async () => {},
    leaving: async () => [...books.leaving],
    client: async (client) => ({ client, accountId: 'acc', credited: before, out: books.out }),
    take: async (_client, amount) => {
      books.spendable -= amount
      books.out += amount
      return amount
    },
    giveBack: async (_client, amount) => {
      books.spendable += amount
      books.out -= amount
    },
    stay: async (client) => {
      books.leaving.delete(client)
    },
  }
  const tick = async () => {
    await scanDeposits(logs, book, { chainId: 31_337, fromBlock: 0, overlap: 4, range: 3 })
    return followWithdrawals(state, book)
  }
  const escrow = chain.escrow.connect(chain.client) as typeof chain.escrow
  await (await escrow['requestWithdrawal']!(3n * OPEN)).wait()
  expect(await tick()).toEqual([{ client: address, taken: String(3n * OPEN) }]) // not yet final
  expect(await tick()).toEqual([])
  await chain.mine(2)
  await (await escrow['cancelWithdrawal']!()).wait()
  expect(await tick()).toEqual([])
  await chain.mine(4)
  expect(await tick()).toEqual([{ client: address, taken: String(-3n * OPEN) }])
  expect([books.spendable, books.leaving.size]).toEqual([before, 0])

  const leaf = (spent: bigint) => packLeaf({ kind: 2, address, amount: spent })
  const ports = {
    finalBlock: () => state.finalBlock(),
    clients: state.clients.bind(state),
    pool: state.pool.bind(state),
    ledger: async () => ({ credited: before as bigint, out: 0n, owed: before as bigint }),
  }
  expect(await reconcile(leaf(before), [], ports)).toMatchObject({ clients: 1, surplus: 0n })
  await expect(reconcile(leaf(before + 1n), [], ports)).rejects.toThrow(`spent ${before + 1n} of`)
  // Tokens that nobody deposited count for nothing.
  await (await chain.token['transfer']!(chain.deployment.contracts.escrow, OPEN)).wait()
  await chain.mine(4)
  await expect(reconcile(leaf(before + 1n), [], ports)).rejects.toThrow('are still to be drawn')
  await chain.rpc.send('evm_revert', [snapshot])
})
