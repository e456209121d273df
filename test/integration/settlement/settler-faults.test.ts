/** The settler under faults: a crash before or after any call, lost acknowledgements, reorganisations, dropped transactions,
 * fee spikes, nonces used by others, two settlers at once. SETTLER_FAULTS=2000 runs the long form, SETTLER_SEED another life. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EvmChain } from '../../../functions/settlement/settler/chain.client.ts'
import { LeaseLost } from '../../../functions/settlement/settler/ports.ts'
import { type SettleOptions, settleEpochs } from '../../../functions/settlement/settler/settle-epochs.ts'
import { LocalChain } from './local-chain.ts'
import { Durable, Ledger, MemoryStore, memoryBook, memoryFiles, walletSigner } from './settler-fakes.ts'

const OPEN = 10n ** 18n
const FAULTS = Number(process.env['SETTLER_FAULTS'] ?? 120)
const SEED = Number(process.env['SETTLER_SEED'] ?? 1)
/** `finalized` is this far behind; no reorganisation goes deeper. */
const FINAL_DEPTH = 4

let chain: LocalChain
beforeAll(async () => {
  chain = await LocalChain.start(2, {}, FINAL_DEPTH / 2)
})
afterAll(() => chain?.stop())

class Crash extends Error {}

/** mulberry32 */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

test('every epoch settles exactly once and everybody is paid once', { timeout: 100_000 + FAULTS * 400 }, async () => {
  const dice = random(SEED)
  const chance = (p: number) => dice() < p
  const faults: Record<string, number> = {
    crashBefore: 0,
    lostReply: 0,
    reorg: 0,
    drop: 0,
    spike: 0,
    foreign: 0,
    rival: 0,
    torn: 0,
  }
  const total = () => Object.values(faults).reduce((a, b) => a + b)
  let clock = Date.now()
  let quiet = false

  const faulty = <Port extends object>(port: Port, p: number): Port =>
    new Proxy(port, {
      get(target, name) {
        const value = target[name as keyof Port]
        if (typeof value !== 'function') return value
        return async (...args: unknown[]) => {
          if (!quiet && chance(p)) {
            faults['crashBefore']!++
            throw new Crash()
          }
          const reply = await (value as (...all: unknown[]) => unknown).apply(target, args)
          if (!quiet && chance(p)) {
            faults['lostReply']!++
            throw new Crash()
          }
          return reply
        }
      },
    })

  const weather = async () => {
    clock += 1_000
    if (quiet || chance(0.7)) await chain.mine(1, 1)
    if (quiet) return
    if (chance(0.08)) {
      faults['reorg']!++
      const depth = 1 + Math.floor(dice() * (FINAL_DEPTH - 1))
      await chain.rpc.send('anvil_rollback', [depth])
      await chain.mine(depth, 1)
    }
    if (chance(0.06)) {
      const pool = await chain.rpc.send('txpool_content', [])
      const hashes = Object.values(pool.pending as Record<string, Record<string, { hash: string }>>).flatMap(
        (byNonce) => Object.values(byNonce).map(({ hash }) => hash),
      )
      for (const hash of hashes) {
        faults['drop']!++
        await chain.rpc.send('anvil_dropTransaction', [hash])
      }
    }
    if (chance(0.04)) {
      faults['spike']!++
      await chain.rpc.send('anvil_setNextBlockBaseFeePerGas', [
        `0x${(BigInt(1 + Math.floor(dice() * 60)) * 10n ** 9n).toString(16)}`,
      ])
    }
    if (chance(0.03)) {
      const nonce = await chain.settler.getNonce('latest')
      const sent = await chain.settler
        .sendTransaction({
          to: chain.settler.address,
          nonce,
          maxFeePerGas: 10n ** 12n,
          maxPriorityFeePerGas: 10n ** 11n,
          gasLimit: 21_000n,
        })
        .catch(() => null)
      if (sent) faults['foreign']!++
    }
  }

  const durable = new Durable()
  const ledger = new Ledger(durable, chain.client.address)
  await chain.deposit(1_000_000n * OPEN)
  await chain.mine(FINAL_DEPTH + 1, 1) // the deposit is final: the weather is for the settler
  await chain.rpc.send('evm_setAutomine', [false])

  const options = (): SettleOptions => ({
    chain: faulty(
      new EvmChain({
        rpcUrl: chain.rpcUrl,
        chainId: 31_337,
        settlement: chain.deployment.contracts.settlement,
        codeHash: chain.deployment.codeHashes['settlement']!,
        settler: chain.settler.address,
        finality: 'finalized',
      }),
      0.006,
    ),
    signer: faulty(walletSigner(chain.settler), 0.03),
    store: faulty(new MemoryStore(durable), 0.03),
    book: faulty(memoryBook(durable), 0.02),
    files: faulty(memoryFiles(durable), 0.02),
    settlement: chain.deployment.contracts.settlement,
    pushThreshold: 1n,
    policy: { feeCap: 500n * 10n ** 9n, staleAfterMs: 6_000, gasMarginPercent: 30n },
    now: () => clock,
    sleep: weather,
    deadline: clock + 30_000,
    idleMs: 20_000,
    pollMs: 1_000,
  })
  const run = () =>
    settleEpochs(options()).catch((error: unknown) => {
      if (error instanceof Crash || error instanceof LeaseLost) return
      // A rival's reorganisation falls between two readings: the settler refuses to guess, and comes back.
      if (/the RPC (has|calls)/.test((error as Error).message)) faults['torn']!++
      else throw error
    })

  const payees = Array.from({ length: 40 }, (_, i) => `0x${(0xbeef_0000 + i).toString(16).padStart(40, '0')}`)
  for (let epoch = 1; total() < FAULTS; epoch++) {
    for (const payee of payees) if (chance(0.4)) ledger.pay(payee, BigInt(1 + Math.floor(dice() * 1e6)))
    ledger.pay(payees[epoch % payees.length]!, OPEN)
    ledger.close()
    for (let runs = 0; durable.states.get(epoch) !== 'settled'; runs++) {
      expect(runs, `epoch ${epoch} makes no progress: ${JSON.stringify([...durable.items].slice(-3))}`).toBeLessThan(
        400,
      )
      quiet = runs > 200
      if (chance(0.1)) {
        faults['rival']!++
        await Promise.all([run(), run()])
      } else await run()
      await weather()
    }
  }

  quiet = true
  await chain.mine(FINAL_DEPTH + 1, 1)
  const events = await chain.settlement.queryFilter(chain.settlement.filters['Activated']!())
  const last = durable.epochs.at(-1)!
  expect(events.map((event) => Number((event as unknown as { args: { epoch: bigint } }).args.epoch))).toEqual(
    durable.epochs.map(({ number }) => number),
  )
  for (const payee of payees) expect(await chain.balanceOf(payee)).toBe(ledger.earned.get(payee) ?? 0n)
  expect(await chain.settlement['claimedTotal']!()).toBe(last.total)
  expect(await chain.settlement['currentRoot']!()).toBe(last.root)
  process.stderr.write(`${JSON.stringify({ epochs: last.number, faults, total: total() })}\n`)
})
