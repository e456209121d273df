/** The close of an epoch from a receipt log on disk, in a process of its own: both calculators, both postings, both roots. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Receipt } from '../../../functions/schema/receipt.ts'
import { account, bytesOf, inputsFor, lineOf, makeReceipt } from '../../unit/epoch/epoch-factory.ts'
import { inItsOwnProcess } from './own-process.ts'

const BATCH = 100
const ADAPTERS = 10
const CLIENTS = 50
const CLUSTERS = 3_000
const CONTRIBUTORS = 400

/** Three spans' owners and so many scored rows a receipt; a row stands for a cluster, a contributor has several. */
const receiptOf = (n: number, seed: number, scores: number): Receipt => {
  const at = (k: number) => (Math.imul(n + seed, 2_654_435_761) >>> 0) % k
  const row = (j: number) => (at(CLUSTERS) + j * 7) % CLUSTERS
  const evidence = (j: number, value: bigint): [string, string, bigint] => [
    `${row(j)}`,
    `${row(j) % CONTRIBUTORS}`,
    value,
  ]
  return makeReceipt({
    name: n,
    payer: `client ${at(CLIENTS)}`,
    adapter: `${n % ADAPTERS}`,
    provenance: [0, 1, 2].map((j) => evidence(j, BigInt(100 + j))),
    influence: Array.from({ length: scores }, (_, j) => evidence(j, BigInt(((j % 3) - 1) * 1_000 + 17))),
    totalBits: 1_000n,
  })
}

/** Writes log objects and `epoch-inputs.json`; returns the log's bytes. */
const writeLog = (folder: string, count: number, seed: number, scores: number): number => {
  const shown: Receipt[] = []
  let fees = 0n
  let bytes = 0
  for (let from = 0; from < count; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => receiptOf(from + i, seed, scores))
    for (const { billing } of batch) fees += BigInt(billing.fee)
    shown.push(...batch.slice(0, from === 0 ? BATCH : 0))
    const path = join(folder, `${String(from).padStart(9, '0')}.jsonl`)
    writeFileSync(path, batch.map((one) => `${lineOf(one)}\n`).join(''))
    bytes += statSync(path).size
  }
  const names = ['treasury', 'platform', 'operator', 'builder']
  names.push(...Array.from({ length: CLIENTS }, (_, i) => `client ${i}`))
  names.push(...Array.from({ length: CONTRIBUTORS }, (_, i) => String(i)))
  const inputs = inputsFor(shown, {
    ledger: { receipts: count, fees: String(fees) },
    accounts: names.map((name) => ({
      accountId: account(name),
      address: `0x${Buffer.from(account(name)).toString('hex').slice(0, 40)}`,
    })),
  })
  writeFileSync(join(folder, 'epoch-inputs.json'), bytesOf(inputs))
  return bytes
}

export interface CloseCost {
  receipts: number
  root: string
  seconds: number
  /** Of the whole process, start and garbage collection included. */
  cpuSeconds: number
  peakMb: number
}

/** Closes a log of `count` receipts with `scores` scored rows each. */
export const benchClose = (count: number, seed: number, scores: number): CloseCost & { logMb: number } => {
  const folder = mkdtempSync(join(tmpdir(), 'openledger-bench-'))
  try {
    const logMb = writeLog(folder, count, seed, scores) / 2 ** 20
    return { ...inItsOwnProcess<CloseCost>('close-once.ts', folder), logMb }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
