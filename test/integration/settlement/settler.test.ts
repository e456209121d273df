import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ChainOptions, EvmChain } from '../../../functions/settlement/settler/chain.client.ts'
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

const evmChain = (change: Partial<ChainOptions> = {}) =>
  new EvmChain({
    rpcUrl: chain.rpcUrl,
    chainId: 31_337,
    settlement: chain.deployment.contracts.settlement,
    codeHash: chain.deployment.codeHashes['settlement']!,
    settler: chain.settler.address,
    finality: 'finalized',
    ...change,
  })

/** Does not run with the wall: on a busy machine the window would be over before the veto is sent. */
const slowClock = () => {
  let clock = Date.now()
  return () => clock++
}

const options = (change: Partial<SettleOptions> = {}): SettleOptions => ({
  chain: evmChain(),
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

  test('needs no blocks but its own where finality is the latest block', async () => {
    ledger.pay(someone(), OPEN)
    ledger.close()
    const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
    const finality = 'latest' as const
    const report = await settleEpochs(options({ chain: evmChain({ finality }), sleep, pollMs: 200 }))
    expect(report.settled).toEqual([1])
  })

  test('leaves payees below the threshold to their claims', async () => {
    const [small, large] = [someone(), someone()]
    ledger.pay(small, 9n)
    ledger.pay(large, 10n)
    ledger.close()
    await settleEpochs(options({ pushThreshold: 10n }))
    expect(await chain.balanceOf(small)).toBe(0n)
    expect(await chain.balanceOf(large)).toBe(10n)
  })

  test('goes on where another run stopped, at every pass', async () => {
    ledger.pay(someone(), OPEN)
    ledger.close()
    let runs = 0
    for (; runs < 30 && durable.states.get(1) !== 'settled'; runs++) {
      await settleEpochs(options({ deadline: 0 }))
      await chain.mine()
    }
    expect(durable.states.get(1)).toBe('settled')
    expect(await chain.rpc.getTransactionCount(chain.settler.address)).toBe(3)
  })

  test('a vetoed root never becomes active; a corrected one does', async () => {
    const payee = someone()
    ledger.pay(payee, OPEN)
    const wrong = ledger.close({ root: `0x${'66'.repeat(32)}` })
    const vetoed = chain.settlement.connect(chain.watcher) as typeof chain.settlement
    const report = await settleEpochs(
      options({
        now: slowClock(),
        sleep: async () => {
          const [, , , activatesAt] = await chain.settlement['state']!()
          if (activatesAt > 0n) await (await vetoed['veto']!(1, wrong.root)).wait()
          await chain.mine(3, 1)
        },
      }),
    )
    expect(report.settled).toEqual([])
    expect(durable.states.get(1)).toBe('vetoed')
    expect(await chain.settlement['currentRoot']!()).toBe(`0x${'0'.repeat(64)}`)
    ledger.close()
    expect((await settleEpochs(options())).settled).toEqual([1])
    expect(await chain.balanceOf(payee)).toBe(OPEN)
  })

  test('a right root that was vetoed is paid when an operator closes it again, and not before', async () => {
    const payee = someone()
    ledger.pay(payee, OPEN)
    const { root } = ledger.close()
    const watcher = chain.settlement.connect(chain.watcher) as typeof chain.settlement
    const veto = async () => {
      const [, , , activatesAt] = await chain.settlement['state']!()
      if (activatesAt > 0n) await (await watcher['veto']!(1, root)).wait()
      await chain.mine(3, 1)
    }
    // Runs that die right after an item is written as vetoed: the epoch ends as vetoed all the same.
    for (let died = 0; durable.states.get(1) !== 'vetoed'; died++) {
      expect(died).toBeLessThan(4)
      const others = options({ now: slowClock(), sleep: veto })
      const store = new MemoryStore(durable)
      const save = store.save.bind(store)
      store.save = async (item) => {
        const saved = await save(item)
        if (item.state === 'VETOED') throw new Error('died')
        return saved
      }
      await settleEpochs({ ...others, store }).catch((error: Error) => expect(error.message).toBe('died'))
    }
    expect((await settleEpochs(options())).settled).toEqual([])
    expect(await chain.settlement['currentRoot']!()).toBe(`0x${'0'.repeat(64)}`)
    ledger.reopen(1)
    expect((await settleEpochs(options())).settled).toEqual([1])
    expect(await chain.settlement['currentRoot']!()).toBe(root)
    expect(await chain.balanceOf(payee)).toBe(OPEN)
  })

  test('a call that would fail is not sent', async () => {
    ledger.pay(someone(), OPEN)
    ledger.close({ debits: 0n })
    const report = await settleEpochs(options({ idleMs: 0 }))
    expect(report.stuck).toEqual([{ epoch: 1, item: 'PROPOSE', why: `the call reverts: Underfunded(${OPEN}, 0)` }])
    expect(await chain.rpc.getTransactionCount(chain.settler.address)).toBe(0)
  })

  test('a nonce that a reorganisation set free is filled, and the epoch settles', async () => {
    let clock = Date.now()
    const later = { now: () => clock, deadline: clock + 600_000, idleMs: 100_000, pollMs: 1_000 }
    const sleep = async () => {
      clock += 61_000
      await chain.mine()
    }
    await (await chain.settler.sendTransaction({ to: chain.settler.address, nonce: 0 })).wait()
    ledger.pay(someone(), OPEN)
    ledger.close()
    for (let i = 0; i < 3; i++) await settleEpochs(options({ deadline: 0 }))
    expect(await chain.rpc.getTransactionCount(chain.settler.address)).toBe(2)
    await chain.rpc.send('anvil_rollback', [2])
    expect(await chain.rpc.getTransactionCount(chain.settler.address)).toBe(0)
    await chain.mine(2)
    const moves: string[] = []
    const log = ({ item, state }: { item: string; state: string }) => moves.push(`${item} ${state}`)
    const report = await settleEpochs(options({ ...later, sleep, log }))
    expect(report.settled).toEqual([1])
    expect(moves).toContain('NONCE#0 FILLED')
  })

  test('offers again with higher fees until the base fee is met, never above the cap', async () => {
    let clock = Date.now()
    const gwei = 10n ** 9n
    ledger.pay(someone(), OPEN)
    ledger.close()
    await chain.rpc.send('evm_setAutomine', [false])
    const sleep = async () => {
      clock += 61_000
      await chain.rpc.send('anvil_setNextBlockBaseFeePerGas', [`0x${(20n * gwei).toString(16)}`])
      await chain.mine()
    }
    const later = { now: () => clock, deadline: clock + 6_000_000, idleMs: 1_000_000, sleep, pollMs: 1_000 }
    const policy = { feeCap: 10n * gwei, staleAfterMs: 60_000, gasMarginPercent: 20n }
    const capped = await settleEpochs(options({ ...later, policy, deadline: clock + 20 * 61_000 }))
    expect(capped.stuck[0]?.why).toMatch(/highest fee/)
    const report = await settleEpochs(options({ ...later, policy: { ...policy, feeCap: 100n * gwei } }))
    expect(report.settled).toEqual([1])
    await chain.rpc.send('evm_setAutomine', [true])
  })

  test('another RPC chain than the configured one is refused', async () => {
    ledger.pay(someone(), OPEN)
    ledger.close()
    await expect(settleEpochs(options({ chain: evmChain({ chainId: 1 }) }))).rejects.toThrow(
      'serves chain 31337, not 1',
    )
  })

  test('another code than the deployed one is refused before anything is signed', async () => {
    ledger.pay(someone(), OPEN)
    ledger.close()
    const signer = { address: chain.settler.address, sign: () => Promise.reject(new Error('signed')) }
    const other = { codeHash: `0x${'1'.repeat(64)}` }
    await expect(settleEpochs(options({ chain: evmChain(other), signer }))).rejects.toThrow('has the hash')
    expect([...durable.items.values()].join()).not.toMatch(/NONCED|SIGNED|SENT/)
  })
})
