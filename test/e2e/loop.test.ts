import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ApiClient } from '../../local/example/api-client.ts'
import { contextOf } from '../../local/example/context.ts'
import { openOf } from '../../local/example/deposit.ts'
import { runExample } from '../../local/example/run.ts'
import { startPlatform } from '../../local/platform.ts'
import { createProgress } from '../../local/setup/progress.ts'
import { accessMatrix } from './access-matrix.ts'
import { answers } from './answers.ts'
import { dyingWorkers } from './dying-workers.ts'
import { startAndInterrupt, startAndKill } from './kill.ts'
import { loop, MINUTES } from './loop.ts'
import { payees } from './payees.ts'
import { teardown } from './teardown.ts'
import { texts } from './texts.ts'
import { townOf } from './town.ts'
import { trainings } from './trainings.ts'

/** The whole product, deployed by the real CDK CLI with IAM enforced, through its public API only. */
const dir = mkdtempSync(join(tmpdir(), 'openledger-e2e-'))
const log = (line: string) => process.stderr.write(`${line}\n`)

beforeAll(async () => {
  // Killed while it trains, and again while it pays: everything below is asked of what came back.
  await startAndKill(dir, /training \S+ started/, 4_000)
  await startAndKill(dir, /— settle/, 2_000)
  loop.platform = await startPlatform(dir, createProgress())
  loop.context = contextOf(loop.platform, log)
  await runExample(loop.context, { setup: 0, deploy: 0 }).catch((error) => {
    log(readFileSync(join(dir, 'logs/aws.log'), 'utf8').slice(-20_000)) // the folder is gone when somebody asks why
    throw error
  })
  loop.run = JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'))
}, 12 * MINUTES)

afterAll(async () => {
  await loop.platform?.stop()
  rmSync(dir, { recursive: true, force: true })
}, MINUTES)

test('killed twice in the middle, it went on: one epoch was paid, once', async () => {
  const { items } = await new ApiClient(loop.run.api.baseUrl, loop.run.people.operator).get('/epochs')
  expect(items).toHaveLength(1)
  expect(items[0]).toMatchObject({ number: 1, state: 'settled', total: loop.run.epoch.total })
  // The wallets were new: what they hold is what this epoch paid them, and no more than its total.
  const paid = loop.run.payees.reduce((sum: bigint, payee: { paid: string }) => sum + BigInt(payee.paid), 0n)
  expect(paid).toBeGreaterThan(0n)
  expect(paid).toBeLessThanOrEqual(BigInt(loop.run.epoch.total))
})

test('run.json is private, and every payee received on chain what the ledger accrued', () => {
  expect(statSync(join(dir, 'run.json')).mode & 0o777).toBe(0o600)
  expect(loop.run.inferences.length).toBeGreaterThanOrEqual(12)
  for (const payee of loop.run.payees) expect(payee.paid).toBe(payee.accrued)
  expect(loop.run.payees.filter((payee: { paid: string }) => BigInt(payee.paid) > 0n).length).toBeGreaterThanOrEqual(6)
  expect(loop.run.epoch.transactionHash).toMatch(/^0x[0-9a-f]{64}$/)
})

test('shares and residual of every receipt sum to the contributor pool, exactly', async () => {
  const api = new ApiClient(loop.run.api.baseUrl, loop.run.keys.client)
  for (const { receiptId, shares, unattributed } of loop.run.inferences) {
    const { billing, attribution } = await api.get(`/receipts/${receiptId}`)
    const { owner, stakers, provenance, influence, residual } = attribution.pools
    const sum = (amounts: string[]) => amounts.reduce((total, amount) => total + BigInt(amount), 0n)
    expect(sum([owner, stakers, provenance, influence, residual])).toBe(BigInt(billing.net))
    expect(sum([...shares.map(({ amount }: { amount: string }) => amount), unattributed])).toBe(
      sum([provenance, influence, residual]),
    )
    expect(BigInt(billing.net) + BigInt(billing.platformFee)).toBe(BigInt(billing.fee))
  }
})

answers()
trainings()
payees()
texts()

test(
  'Ctrl-C leaves no process, and started again the example pays nobody twice',
  async () => {
    const addresses = loop.run.payees.map(({ address }: { address: string }) => address)
    const before = await openOf(loop.context, addresses)
    await loop.platform.stop()
    const { code, left, table, told } = await startAndInterrupt(dir)
    expect({ code, left }, told.slice(-4000)).toEqual({ code: 0, left: [] })
    expect(table).toMatch(/unattributed residual of \d+ answers/)
    expect(secretsInLogs()).toEqual([])
    loop.platform = await startPlatform(dir, createProgress())
    loop.context = contextOf(loop.platform, log)
    expect(await openOf(loop.context, addresses)).toEqual(before)
  },
  5 * MINUTES,
)

/** Keys, tokens, wallets and what was asked or answered, as far as any log of this platform holds them. */
const secretsInLogs = (): string[] => {
  const logs = ['aws/services/cloudwatch_logs.json', 'logs/aws.log', 'logs/chain.log']
    .map((file) => readFileSync(join(dir, file), 'utf8'))
    .join('\n')
  const { done } = loop.context.journal as {
    done: Record<string, { text?: string; password?: string; privateKey?: string } | null>
  }
  const kept = Object.values(done).flatMap((entry) => entry ?? [])
  const answers = kept.flatMap(({ text }) => (text && text.trim().length > 30 ? [text.trim()] : []))
  const people = kept.flatMap(({ password, privateKey }) => [password ?? [], privateKey ?? []].flat())
  expect(answers.length).toBeGreaterThan(10)
  expect(logs.length).toBeGreaterThan(10_000)
  const secrets = [loop.run.keys.client, loop.run.people.builder, loop.run.people.operator, ...people, ...answers]
  return secrets.filter((secret) => logs.includes(JSON.stringify(secret).slice(1, 40)))
}

dyingWorkers()
accessMatrix(() => townOf(loop.run, loop.context.journal.done))
teardown()
