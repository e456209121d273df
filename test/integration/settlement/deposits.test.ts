import { afterAll, beforeAll, expect, test } from 'vitest'
import { EscrowLogs } from '../../../functions/settlement/deposits/escrow.client.ts'
import { type DepositBook, scanDeposits } from '../../../functions/settlement/deposits/scan-deposits.ts'
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
  logs = new EscrowLogs({ rpcUrl: chain.rpcUrl, finality: 'finalized', ...identity() })
})
afterAll(() => {
  logs?.close()
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
  const wrong = new EscrowLogs({ rpcUrl: chain.rpcUrl, finality: 'finalized', ...identity(), ...change })
  await expect(wrong.finalBlock()).rejects.toThrow(why)
  wrong.close()
})
