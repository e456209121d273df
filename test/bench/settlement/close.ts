/** The close of an epoch from its log: both calculators, both postings, both roots, on one core. */

import type { Receipt } from '../../../functions/schema/receipt.ts'
import { closeEpoch, type EpochFile } from '../../../functions/settlement/epoch/close-epoch.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import type { LogObject } from '../../../functions/settlement/epoch/receipt-log.ts'
import { account, bytesOf, inputsFor, lineOf, makeReceipt } from '../../unit/epoch/epoch-factory.ts'

const BATCH = 500
const ADAPTERS = 10
const CLIENTS = 50
const CLUSTERS = 3_000

/** Receipts with three spans' owners and twenty scores each: about 6 kB a line, as the example's are. */
const receiptOf = (n: number, seed: number): Receipt => {
  const at = (k: number) => (Math.imul(n + seed, 2_654_435_761) >>> 0) % k
  const row = (j: number) => (at(CLUSTERS) + j * 7) % CLUSTERS
  const evidence = (j: number, value: bigint): [string, string, bigint] => [`${row(j)}`, `${row(j) % 400}`, value]
  return makeReceipt({
    name: n,
    payer: `client ${at(CLIENTS)}`,
    adapter: `${n % ADAPTERS}`,
    provenance: [0, 1, 2].map((j) => evidence(j, BigInt(100 + j))),
    influence: Array.from({ length: 20 }, (_, j) => evidence(j, BigInt(((j % 3) - 1) * 1_000 + 17))),
    totalBits: 1_000n,
  })
}

/** CPU seconds of the whole process (garbage collection included) and its resident memory at the peak. */
export const benchClose = async (count: number, seed: number) => {
  const objects: LogObject[] = []
  const shown: Receipt[] = []
  let fees = 0n
  for (let from = 0; from < count; from += BATCH) {
    const size = Math.min(BATCH, count - from)
    const batch = Array.from({ length: size }, (_, i) => receiptOf(from + i, seed))
    for (const { billing } of batch) fees += BigInt(billing.fee)
    shown.push(...batch.slice(0, from === 0 ? BATCH : 0))
    objects.push({ name: `${from}.jsonl`, bytes: Buffer.from(batch.map((one) => `${lineOf(one)}\n`).join('')) })
  }
  const { adapters } = inputsFor(shown)
  const names = [...Array(CLIENTS).keys()].map((i) => `client ${i}`)
  const contributors = [...Array(400).keys()].map(String)
  const inputs = inputsFor(shown, {
    adapters,
    ledger: { receipts: count, fees: String(fees) },
    accounts: [
      ...['treasury', 'platform', 'operator', 'builder', ...names, ...contributors].map((name) => ({
        accountId: account(name),
        address: `0x${Buffer.from(account(name)).toString('hex').slice(0, 40)}`,
      })),
    ],
  })
  const keccak = await loadKeccak()
  const [cpu, wall] = [process.cpuUsage(), performance.now()]
  const { epoch }: { epoch: EpochFile } = await closeEpoch(
    { inputs: bytesOf(inputs), previousBalances: new Uint8Array(), objects },
    keccak,
  )
  const used = process.cpuUsage(cpu)
  return {
    receipts: epoch.receipts,
    logMb: objects.reduce((sum, { bytes }) => sum + bytes.length, 0) / 2 ** 20,
    seconds: (performance.now() - wall) / 1000,
    cpuSeconds: (used.user + used.system) / 1e6,
    peakMb: process.resourceUsage().maxRSS / 1024,
    root: epoch.root,
  }
}
