/** From a closed epoch to paid payees: the settler itself against anvil, its store in memory, no window. */
import { toBeHex } from 'ethers'
import { EvmChain } from '../../../functions/settlement/settler/chain.client.ts'
import { settleEpochs } from '../../../functions/settlement/settler/settle-epochs.ts'
import { LocalChain } from '../../integration/settlement/local-chain.ts'
import {
  Durable,
  Ledger,
  MemoryStore,
  memoryBook,
  memoryFiles,
  walletSigner,
} from '../../integration/settlement/settler-fakes.ts'

const PAYEES = 1_000
const OPEN = 10n ** 18n

/** Seconds for an epoch in which everybody is paid again: propose, activate, every push final. */
export const benchSettle = async () => {
  const chain = await LocalChain.start(0)
  try {
    const { settlement } = chain.deployment.contracts
    const durable = new Durable()
    const ledger = new Ledger(durable, chain.client.address)
    await chain.deposit(BigInt(2 * PAYEES) * OPEN)
    const epoch = async () => {
      for (let i = 0; i < PAYEES; i++) ledger.pay(toBeHex(0xa0_0000 + i, 20), OPEN)
      const { number } = ledger.close()
      const started = performance.now()
      const report = await settleEpochs({
        chain: new EvmChain({
          rpcUrl: chain.rpcUrl,
          chainId: 31_337,
          settlement,
          codeHash: chain.deployment.codeHashes['settlement']!,
          settler: chain.settler.address,
          finality: 'finalized',
        }),
        signer: walletSigner(chain.settler),
        store: new MemoryStore(durable),
        book: memoryBook(durable),
        files: memoryFiles(durable),
        settlement,
        pushThreshold: 1n,
        policy: { feeCap: 10n ** 12n, staleAfterMs: 60_000, gasMarginPercent: 20n },
        now: Date.now,
        sleep: async () => {
          await chain.mine()
        },
        deadline: Date.now() + 300_000,
        idleMs: 300_000,
        pollMs: 1,
      })
      if (report.settled[0] !== number) throw new Error(`epoch ${number} was not settled: ${JSON.stringify(report)}`)
      return (performance.now() - started) / 1000
    }
    await epoch()
    const seconds = await epoch()
    const paid = await chain.balanceOf(toBeHex(0xa0_0000, 20))
    if (paid !== 2n * OPEN) throw new Error(`the first payee has ${paid}`)
    return { payees: PAYEES, transactions: 2 + durable.pushes.get(2)!.length, seconds }
  } finally {
    chain.stop()
  }
}
