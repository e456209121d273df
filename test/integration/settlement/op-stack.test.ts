/** The OpenLedger L2's shape: an OP-stack chain with id 1612 whose coin is OPEN. Deployed, prepaid, settled, pushed, unwrapped. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { hex, proofOf } from '../../../functions/settlement/epoch/merkle-tree.ts'
import { EvmChain } from '../../../functions/settlement/settler/chain.client.ts'
import { settleEpochs } from '../../../functions/settlement/settler/settle-epochs.ts'
import { LocalChain } from './local-chain.ts'
import { Durable, Ledger, MemoryStore, memoryBook, memoryFiles, walletSigner } from './settler-fakes.ts'

const OPEN = 10n ** 18n
const CHAIN_ID = 1612

let chain: LocalChain
beforeAll(async () => {
  chain = await LocalChain.start(0, {}, 1, ['--network', 'optimism'], {
    ...{ chainId: CHAIN_ID, native: true, hardfork: 'isthmus' },
  })
})
afterAll(() => chain?.stop())

test('an epoch is prepaid in the coin, pushed as its wrapper, and unwrapped by the account alone', async () => {
  const { settlement } = chain.deployment.contracts
  expect(chain.deployment).toMatchObject({ chainId: CHAIN_ID, native: true })
  await (await chain.escrow['depositNative']!(chain.client.address, { value: 9n * OPEN })).wait()
  expect(await chain.balanceOf(chain.deployment.contracts.escrow)).toBe(9n * OPEN)

  const durable = new Durable()
  const ledger = new Ledger(durable, chain.client.address)
  const payee = `0x${randomBytes(20).toString('hex')}`
  const own = chain.watcher.address.toLowerCase() // has a key, so that it can claim for itself
  ledger.pay(payee, 5n * OPEN)
  ledger.pay(own, 2n * OPEN)
  ledger.close()
  const report = await settleEpochs({
    chain: new EvmChain({
      ...{ rpcUrl: chain.rpcUrl, chainId: CHAIN_ID, settlement, settler: chain.settler.address },
      ...{ codeHash: chain.deployment.codeHashes['settlement']!, finality: 'finalized' },
    }),
    signer: walletSigner(chain.settler, CHAIN_ID),
    ...{ store: new MemoryStore(durable), book: memoryBook(durable), files: memoryFiles(durable), settlement },
    pushThreshold: 5n * OPEN,
    policy: { feeCap: 10n ** 12n, staleAfterMs: 60_000, gasMarginPercent: 20n },
    now: Date.now,
    sleep: async () => {
      await chain.mine()
    },
    ...{ deadline: Date.now() + 60_000, idleMs: 60_000, pollMs: 1 },
  })
  expect(report).toMatchObject({ settled: [1], stuck: [] })
  expect([await chain.balanceOf(payee), await chain.rpc.getBalance(payee)]).toEqual([5n * OPEN, 0n])

  const { tree } = durable.trees.get(1)!
  const proof = proofOf(await loadKeccak(), tree, 2).map(hex)
  const account = chain.settlement.connect(chain.watcher) as typeof chain.settlement
  const to = `0x${randomBytes(20).toString('hex')}`
  // Anyone may claim for an account, only the account turns it into coin.
  const stranger = chain.settlement.connect(chain.client) as typeof chain.settlement
  await expect(stranger['claimTo']!(to, true, 2n * OPEN, 2, proof)).rejects.toThrow()
  await (await account['claimTo']!(to, true, 2n * OPEN, 2, proof)).wait()
  expect([await chain.rpc.getBalance(to), await chain.balanceOf(to)]).toEqual([2n * OPEN, 0n])
})
