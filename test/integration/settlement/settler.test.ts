import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EvmChain } from '../../../functions/settlement/settler/chain.client.ts'
import { type SettleOptions, settleEpochs } from '../../../functions/settlement/settler/settle-epochs.ts'
import { LocalChain } from './local-chain.ts'
import { Durable, Ledger, MemoryStore, memoryBook, memoryFiles, walletSigner } from './settler-fakes.ts'

const OPEN = 10n ** 18n
const someone = () => `0x${randomBytes(20).toString('hex')}`

/** One anvil a file; each test reverts to the fresh deployment. */
let chain: LocalChain
let snapshot: string
let durable: Durable
let ledger: Ledger

beforeAll(async () => {
  chain = await LocalChain.start(2)
  await chain.deposit(100_000n * OPEN)
})
afterAll(() => chain.stop())
beforeEach(async () => {
  if (snapshot) await chain.rpc.send('evm_revert', [snapshot])
  chain.deployer.reset()
  snapshot = await chain.rpc.send('evm_snapshot', [])
  durable = new Durable()
  ledger = new Ledger(durable, chain.client.address)
})

const options = (change: Partial<SettleOptions> = {}): SettleOptions => ({
  chain: new EvmChain({
    rpcUrl: chain.rpcUrl,
    chainId: 31_337,
    settlement: chain.deployment.contracts.settlement,
    settler: chain.settler.address,
    finality: 'finalized',
  }),
  signer: walletSigner(chain.settler),
  store: new MemoryStore(durable),
  book: memoryBook(durable),
  files: memoryFiles(durable),
  settlement: chain.deployment.contracts.settlement,
  pushThreshold: 1n,
  policy: { feeCap: 10n ** 12n, staleAfterMs: 60_000, gasMarginPercent: 20n },
  now: Date.now,
  sleep: async () => {
    await chain.mine()
  },
  deadline: Date.now() + 60_000,
  idleMs: 60_000,
  pollMs: 1,
  ...change,
})

describe('a settler on a real chain', () => {
  test('settles epochs and pays every payee in one run', async () => {
    const payees = Array.from({ length: 7 }, someone)
    for (const [i, payee] of payees.entries()) ledger.pay(payee, BigInt(i + 1) * OPEN)
    ledger.close()
    const first = await settleEpochs(options())
    expect(first.settled).toEqual([1])
    for (const [i, payee] of payees.entries()) expect(await chain.balanceOf(payee)).toBe(BigInt(i + 1) * OPEN)
    ledger.pay(payees[3]!, 5n)
    ledger.close()
    const second = await settleEpochs(options())
    expect(second).toMatchObject({ settled: [2], stuck: [], waiting: [] })
    expect(await chain.balanceOf(payees[3]!)).toBe(4n * OPEN + 5n)
    expect(await chain.settlement['claimedTotal']!()).toBe(28n * OPEN + 5n)
    expect(durable.states.get(2)).toBe('settled')
  })
})
