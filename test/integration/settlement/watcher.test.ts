import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { EvmChain } from '../../../functions/settlement/settler/chain.client.ts'
import { judge, judgeFailure, NotRecomputable, type Recomputed } from '../../../functions/settlement/watcher/verdict.ts'
import { readPending, sendVeto } from '../../../functions/settlement/watcher/veto.client.ts'
import { watchRoot } from '../../../functions/settlement/watcher/watch-root.ts'
import { LocalChain } from './local-chain.ts'
import { Durable, Ledger, walletSigner } from './settler-fakes.ts'

const OPEN = 10n ** 18n
let chain: LocalChain
let snapshot: string
let durable: Durable
let ledger: Ledger

beforeAll(async () => {
  chain = await LocalChain.start(100)
  await chain.deposit(1_000n * OPEN)
})
afterAll(() => chain?.stop())
beforeEach(async () => {
  if (snapshot) await chain.rpc.send('evm_revert', [snapshot])
  chain.deployer.reset()
  snapshot = await chain.rpc.send('evm_snapshot', [])
  durable = new Durable()
  ledger = new Ledger(durable, chain.client.address)
  ledger.pay(`0x${'11'.repeat(20)}`, 5n * OPEN)
})

const propose = async (change: Partial<Recomputed> = {}) => {
  const right = ledger.close()
  const said = { ...right, ...change }
  const facts = [said.root, said.total, said.receiptsRoot, said.dataHash, said.debits]
  const settlement = chain.settlement.connect(chain.settler) as typeof chain.settlement
  await (await settlement['propose']!(said.number, right.prevRoot, ...facts)).wait()
  const { prevRoot, root, receiptsRoot, dataHash, total, debits } = right
  return { prevRoot, root, receiptsRoot, dataHash, total, debits }
}

const watch = (recompute: (epoch: number) => Promise<Recomputed>) => {
  const settlement = chain.deployment.contracts.settlement
  const codeHash = chain.deployment.codeHashes['settlement']!
  const from = { settler: chain.watcher.address, codeHash, finality: 'latest' as const }
  const evm = new EvmChain({ rpcUrl: chain.rpcUrl, chainId: 31_337, settlement, ...from })
  const pause = async () => {}
  return watchRoot({
    pending: () => readPending(chain.rpc, settlement),
    recompute,
    veto: sendVeto({ chain: evm, signer: walletSigner(chain.watcher), settlement, pause }),
  })
}
const pendingUntil = async () => Number((await chain.settlement['state']!()).activatesAt)

test('a root that the log gives is left alone, and nothing pending is nothing to do', async () => {
  expect(await watch(() => Promise.reject(new Error('not asked')))).toBeNull()
  const right = await propose()
  expect(await watch(async () => right)).toMatchObject({ epoch: 1, is: 'right' })
  await chain.mine(1, 100)
  await (await chain.settlement['activate']!(1, right.root)).wait()
  expect(await chain.settlement['currentRoot']!()).toBe(right.root)
})

test.each([
  ['root', { root: `0x${'66'.repeat(32)}` }],
  ['receiptsRoot', { receiptsRoot: `0x${'66'.repeat(32)}` }],
  ['dataHash', { dataHash: `0x${'66'.repeat(32)}` }],
  ['total', { total: 4n * OPEN }],
  ['debits', { debits: 6n * OPEN }],
] as const)('a tampered %s never becomes active', async (field, change) => {
  const right = await propose(change)
  const report = await watch(async () => right)
  expect(report).toMatchObject({ is: 'veto' })
  expect(report?.is === 'veto' && report.why).toContain(`${field} is ${Object.values(change)[0]}`)
  expect(await pendingUntil()).toBe(0)
  await chain.mine(1, 200)
  const said = { ...right, ...change }
  await expect(chain.settlement['activate']!(1, said.root)).rejects.toThrow()
  expect(await chain.settlement['currentRoot']!()).toBe(`0x${'0'.repeat(64)}`)
})

test('an epoch without a log is vetoed at once', async () => {
  await propose()
  const report = await watch(() => Promise.reject(new NotRecomputable('epoch 1 has no log')))
  expect(report).toMatchObject({ is: 'veto', why: 'epoch 1 has no log' })
  expect(await pendingUntil()).toBe(0)
})

test("the watcher's own trouble vetoes only after half of the window", async () => {
  await propose()
  const away = () => Promise.reject(new Error('bucket is away'))
  expect(await watch(away)).toMatchObject({ is: 'unknown' })
  expect(await pendingUntil()).toBeGreaterThan(0)
  await chain.mine(1, 50)
  expect(await watch(away)).toMatchObject({ is: 'veto' })
  expect(await pendingUntil()).toBe(0)
})

test('a veto that comes too late says so', async () => {
  const right = await propose({ root: `0x${'66'.repeat(32)}` })
  const settlement = chain.deployment.contracts.settlement
  const codeHash = chain.deployment.codeHashes['settlement']!
  const from = { settler: chain.watcher.address, codeHash, finality: 'latest' as const }
  const evm = new EvmChain({ rpcUrl: chain.rpcUrl, chainId: 31_337, settlement, ...from })
  const send = sendVeto({ chain: evm, signer: walletSigner(chain.watcher), settlement, pause: async () => {} })
  await expect(send(1, right.root)).rejects.toThrow('failed on chain')
})

test('every fact counts', () => {
  const fact = { prevRoot: 'a', root: 'b', receiptsRoot: 'c', dataHash: 'd', total: 5n, debits: 6n }
  const proposal = { ...fact, epoch: 1, proposedAt: 100, activatesAt: 200, now: 149 }
  expect(judge(proposal, fact)).toEqual({ is: 'right' })
  for (const field of ['prevRoot', 'root', 'receiptsRoot', 'dataHash'] as const)
    expect(judge(proposal, { ...fact, [field]: 'x' }).is).toBe('veto')
  for (const field of ['total', 'debits'] as const) expect(judge(proposal, { ...fact, [field]: 9n }).is).toBe('veto')
  expect(judgeFailure(proposal, new Error('x')).is).toBe('unknown')
  expect(judgeFailure({ ...proposal, now: 150 }, new Error('x')).is).toBe('veto')
})
