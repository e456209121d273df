import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KMSClient } from '@aws-sdk/client-kms'
import { GetObjectCommand, ListBucketsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3'
import { ListEndpointsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker'
import { Contract, type EventLog, Wallet } from 'ethers'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { settlementInterface } from '../../functions/settlement/settler/calls.ts'
import { KmsSigner, kmsAddress } from '../../functions/settlement/settler/kms-signer.client.ts'
import { ApiClient, until } from '../../local/example/api-client.ts'
import { contextOf, type ExampleContext } from '../../local/example/context.ts'
import { onChain, openOf } from '../../local/example/deposit.ts'
import { proveAddress } from '../../local/example/people.ts'
import { runExample } from '../../local/example/run.ts'
import { venvPython } from '../../local/paths.ts'
import { type Platform, startPlatform } from '../../local/platform.ts'
import { createProgress } from '../../local/setup/progress.ts'
import { accessMatrix } from './access-matrix.ts'
import { dyingWorkers } from './dying-workers.ts'
import { startAndInterrupt, startAndKill } from './kill.ts'
import { townOf } from './town.ts'

/** The whole product, deployed by the real CDK CLI with IAM enforced, through its public API only. */
const dir = mkdtempSync(join(tmpdir(), 'openledger-e2e-'))
const MINUTES = 60_000
let platform: Platform
let context: ExampleContext
// biome-ignore lint/suspicious/noExplicitAny: run.json is the contract under test
let run: any

const log = (line: string) => process.stderr.write(`${line}\n`)

beforeAll(async () => {
  // Killed while it trains, and again while it pays: everything below is asked of what came back.
  await startAndKill(dir, /training \S+ started/, 4_000)
  await startAndKill(dir, /— settle/, 2_000)
  platform = await startPlatform(dir, createProgress())
  context = contextOf(platform, log)
  await runExample(context, { setup: 0, deploy: 0 }).catch((error) => {
    log(readFileSync(join(dir, 'logs/aws.log'), 'utf8').slice(-20_000)) // the folder is gone when somebody asks why
    throw error
  })
  run = JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'))
}, 12 * MINUTES)

afterAll(async () => {
  await platform?.stop()
  rmSync(dir, { recursive: true, force: true })
}, MINUTES)

const client = (key = run.keys.client) => new OpenAI({ apiKey: key, baseURL: run.api.openaiBaseUrl, maxRetries: 0 })
const refusal = async (ask: Promise<unknown>): Promise<{ status: number; code: string }> => {
  const error = (await ask.then(
    () => undefined,
    (reason: unknown) => reason,
  )) as { status: number; code: string } | undefined
  if (!error) throw new Error('it was answered')
  return { status: error.status, code: error.code }
}

/** The first Datanet's recipe, limited to a minute. */
const smallRecipe = async (name: string) => {
  const [{ id }] = run.adapters
  const { baseId, datanets, price, split } = await new ApiClient(run.api.baseUrl, run.people.builder).get(
    `/adapters/${id}`,
  )
  const named = datanets.map((datanet: { id: string; version: number }) => ({
    id: datanet.id,
    version: datanet.version,
  }))
  return { name, baseId, datanets: named, price, split, limits: { maxSeconds: 60 } }
}

test('killed twice in the middle, it went on: one epoch was paid, once', async () => {
  const { items } = await new ApiClient(run.api.baseUrl, run.people.operator).get('/epochs')
  expect(items).toHaveLength(1)
  expect(items[0]).toMatchObject({ number: 1, state: 'settled', total: run.epoch.total })
  // The wallets were new: what they hold is what this epoch paid them, and no more than its total.
  const paid = run.payees.reduce((sum: bigint, payee: { paid: string }) => sum + BigInt(payee.paid), 0n)
  expect(paid).toBeGreaterThan(0n)
  expect(paid).toBeLessThanOrEqual(BigInt(run.epoch.total))
})

test('run.json is private, and every payee received on chain what the ledger accrued', () => {
  expect(statSync(join(dir, 'run.json')).mode & 0o777).toBe(0o600)
  expect(run.inferences.length).toBeGreaterThanOrEqual(12)
  for (const payee of run.payees) expect(payee.paid).toBe(payee.accrued)
  expect(run.payees.filter((payee: { paid: string }) => BigInt(payee.paid) > 0n).length).toBeGreaterThanOrEqual(6)
  expect(run.epoch.transactionHash).toMatch(/^0x[0-9a-f]{64}$/)
})

test('shares and residual of every receipt sum to the contributor pool, exactly', async () => {
  const api = new ApiClient(run.api.baseUrl, run.keys.client)
  for (const { receiptId, shares, unattributed } of run.inferences) {
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

test('the official Python client streams through the same door', async () => {
  const script = [
    'import sys, openai',
    'c = openai.OpenAI(api_key=sys.argv[1], base_url=sys.argv[2], max_retries=0)',
    'parts = [x.choices[0].delta.content or "" for x in c.chat.completions.create(model=sys.argv[3], messages=[{"role":"user","content":"Quote a sentence"}], max_tokens=12, temperature=0, stream=True) if x.choices]',
    'whole = c.chat.completions.create(model=sys.argv[3], messages=[{"role":"user","content":"Quote a sentence"}], max_tokens=12, temperature=0)',
    'assert "".join(parts) == whole.choices[0].message.content, (parts, whole)',
    'print(len(parts), whole.usage.completion_tokens)',
  ].join('\n')
  const { stdout } = await promisify(execFile)(
    venvPython,
    ['-c', script, run.keys.client, run.api.openaiBaseUrl, run.adapters[0].name],
    { timeout: MINUTES },
  )
  expect(Number(stdout.split(' ')[0])).toBeGreaterThan(3)
})

test('refusals are typed, and readable by the openai client', async () => {
  const model = run.adapters[0].name
  expect(await refusal(client('ol_nobody').completions.create({ model, prompt: 'x' }))).toMatchObject({ status: 401 })
  expect(await refusal(client().completions.create({ model: 'example/none', prompt: 'x' }))).toEqual({
    status: 404,
    code: 'model-not-found',
  })
  expect(await refusal(client().completions.create({ model, prompt: 'x', max_tokens: -1 }))).toEqual({
    status: 400,
    code: 'invalid-request',
  })
  expect(await refusal(client().completions.create({ model, prompt: 'x', max_tokens: 10 ** 9 }))).toEqual({
    status: 400,
    code: 'invalid-request',
  })
})

test('an account without balance is refused with 402, and its hold leaves nothing behind', async () => {
  const [name] = Object.keys(run.people.contributors)
  const poor = new ApiClient(run.api.baseUrl, run.people.contributors[name!].token)
  const { secret } = await poor.post('/accounts/me/keys', { name: 'empty' })
  expect(await refusal(client(secret).completions.create({ model: run.adapters[0].name, prompt: 'x' }))).toEqual({
    status: 402,
    code: 'insufficient-balance',
  })
  expect(await poor.get('/accounts/me')).toMatchObject({ balance: '0', held: '0' })
})

test('the same Idempotency-Key is billed once and answered the same', async () => {
  const api = new ApiClient(run.api.baseUrl, run.keys.client)
  const ask = () =>
    client().completions.create(
      { model: run.adapters[0].name, prompt: 'This License', max_tokens: 8, temperature: 0 },
      { headers: { 'Idempotency-Key': 'e2e-once' } },
    )
  const first = await ask()
  const { balance } = await api.get('/accounts/me')
  expect(await ask()).toEqual(first)
  expect((await api.get('/accounts/me')).balance).toBe(balance)
})

test('200 requests of one account with transaction conflicts: no 5xx, and the money is exact', async () => {
  const api = new ApiClient(run.api.baseUrl, run.keys.client)
  const sum = (account: { balance: string; held: string }) => BigInt(account.balance) + BigInt(account.held)
  const before = await api.get('/accounts/me')
  await platform.emulator.injectConflicts(0.3)
  const fees: bigint[] = []
  const refused: number[] = []
  const rest = Array.from({ length: 200 }, (_, n) => n)[Symbol.iterator]()
  const ask = async () => {
    for (const n of rest) {
      const body = JSON.stringify({ model: run.adapters[0].name, prompt: `${n}`, max_tokens: 1, temperature: 0 })
      const headers = { authorization: `Bearer ${run.keys.client}`, 'content-type': 'application/json' }
      const reply = await fetch(`${run.api.openaiBaseUrl}/completions`, { method: 'POST', headers, body })
      if (reply.ok) fees.push(BigInt((await reply.json()).openledger.fee))
      else refused.push(reply.status)
    }
  }
  // As many at once as a laptop has Lambda workers for; the ledger's own test has all 200 at once.
  await Promise.all(Array.from({ length: 16 }, ask)).finally(() => platform.emulator.injectConflicts(0))
  const after = await api.get('/accounts/me')
  expect(refused.filter((status) => status !== 429)).toEqual([])
  // A question that a kill cut off keeps its hold until the sweeper frees it: none was added to those.
  expect(BigInt(after.held)).toBeLessThanOrEqual(BigInt(before.held))
  expect(sum(before) - sum(after)).toBe(fees.reduce((total, fee) => total + fee, 0n))
}, 240_000)

test('after the burst the backlog drains: every answer gets its influence scores, and none is paid without', async () => {
  const api = new ApiClient(run.api.baseUrl, run.keys.client)
  const receipts = await until('the end of the backlog', 240, async () => {
    const found = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await api.get(`/receipts?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
      if (page.items.some(({ state }: { state: string }) => state === 'pending')) return undefined
      found.push(...page.items)
      cursor = page.cursor
    }
    return found
  })
  expect(receipts.length).toBeGreaterThanOrEqual(200)
  for (const { attribution } of receipts) {
    // An answer of no token has nothing that could be scored.
    if (attribution.status === 'incomplete')
      expect(attribution.missing).toEqual(['influence: influence.output_invalid'])
    else expect(attribution.status).toBe('full')
    if (attribution.status === 'incomplete') expect(attribution.pools.influence).toBe('0')
  }
}, 300_000)

test('other people’s resources do not exist, and operators’ routes are closed', async () => {
  const [name] = Object.keys(run.people.contributors)
  const stranger = new ApiClient(run.api.baseUrl, run.people.curator)
  await expect(stranger.get(`/receipts/${run.inferences[0].receiptId}`)).rejects.toMatchObject({ status: 404 })
  await expect(stranger.post('/epochs:close')).rejects.toMatchObject({ status: 403 })
  await expect(
    new ApiClient(run.api.baseUrl, run.people.contributors[name!].token).call('PUT', '/base-models/stolen', {
      files: [],
    }),
  ).rejects.toMatchObject({ status: 403 })
  await expect(new ApiClient(run.api.baseUrl, 'nonsense').get('/accounts/me')).rejects.toMatchObject({ status: 401 })
})

test('trainings cost their billable seconds, and what clients were debited is what the epoch pays', async () => {
  const builder = new ApiClient(run.api.baseUrl, run.people.builder)
  const { items } = await builder.get('/receipts')
  expect(items).toHaveLength(2)
  let fees = 0n
  for (const { billing, epoch } of items) {
    expect(BigInt(billing.fee)).toBe(BigInt(billing.training.seconds) * BigInt(billing.training.pricePerSecond))
    expect(billing).toMatchObject({ net: '0', platformFee: billing.fee })
    expect(billing.training.seconds).toBeGreaterThan(5)
    expect(epoch).toBe(run.epoch.number)
    fees += BigInt(billing.fee)
    const training = await builder.get(`/trainings/${billing.training.trainingId}`)
    expect(training).toMatchObject({ state: 'completed', charged: billing.fee, receiptId: billing.receiptId })
  }
  const account = await builder.get('/accounts/me')
  expect(account).toMatchObject({ held: '0', spent: fees.toString(), balance: (10n ** 19n - fees).toString() })

  const client = new ApiClient(run.api.baseUrl, run.keys.client)
  for (const { receiptId } of run.inferences) {
    const { billing, attribution } = await client.get(`/receipts/${receiptId}`)
    const refunded = attribution.status === 'full' ? BigInt(attribution.pools.residual) : 0n
    fees += BigInt(billing.fee) - refunded
  }
  const [epoch] = (await client.get('/epochs')).items.filter(
    ({ number }: { number: number }) => number === run.epoch.number,
  )
  expect(epoch.debits).toBe(fees.toString())
})

test('a training that cannot be paid is 402 and leaves nothing', async () => {
  const [name] = Object.keys(run.people.contributors)
  const poor = new ApiClient(run.api.baseUrl, run.people.contributors[name!].token)
  await expect(poor.post('/trainings', await smallRecipe('poor/model'))).rejects.toMatchObject({ status: 402 })
  expect(await poor.get('/accounts/me')).toMatchObject({ balance: '0', held: '0' })
})

test('a training that fails says why in the image’s words, costs nothing, and can be tried again', async () => {
  const builder = new ApiClient(run.api.baseUrl, run.people.builder)
  const before = await builder.get('/accounts/me')
  const failed = (id: string, attempt: number) =>
    until(`the end of ${id}`, 120, async () => {
      const training = await builder.get(`/trainings/${id}`)
      return training.attempt === attempt && training.state === 'failed' ? training : undefined
    })
  const { id } = await builder.post('/trainings', { ...(await smallRecipe('example/four-bits')), method: 'qlora' })
  expect(BigInt((await builder.get('/accounts/me')).held)).toBe(60n * 10n ** 15n)
  expect((await failed(id, 1)).reason).toMatch(/method-needs-gpu: qlora .* needs a GPU/)
  expect(await builder.get('/accounts/me')).toEqual(before)
  expect(await builder.post(`/trainings/${id}/retry`)).toMatchObject({ state: 'queued', attempt: 2 })
  await failed(id, 2)
  expect(await builder.get('/accounts/me')).toEqual(before)
})

test('a name is promoted, split and rolled back in one write, by its owner alone', async () => {
  const builder = new ApiClient(run.api.baseUrl, run.people.builder)
  const [{ id, name }, other] = run.adapters
  const path = `/names/${name}`
  const answeredBy = async () => {
    const reply = await client().completions.create({ model: name, prompt: 'This', max_tokens: 1, temperature: 0 })
    return (reply as unknown as { openledger: { adapter_id: string } }).openledger.adapter_id
  }
  expect(await builder.get(path)).toMatchObject({ adapterId: id, history: [id] })
  await expect(new ApiClient(run.api.baseUrl, run.people.curator).put(path, { adapterId: id })).rejects.toMatchObject({
    status: 404,
  })
  await expect(builder.put(path, { adapterId: other.id, expect: other.id })).rejects.toMatchObject({ status: 409 })
  await builder.put(path, { adapterId: other.id, expect: id })
  expect(await answeredBy()).toBe(other.id)
  await builder.put(path, { adapterId: id, canary: { adapterId: other.id, shareBps: 9_999 } })
  expect(await answeredBy()).toBe(other.id)
  expect(await builder.put(path, { adapterId: id })).toEqual(expect.not.objectContaining({ canary: expect.anything() }))
  expect(await answeredBy()).toBe(id)
  expect((await builder.get(path)).history).toEqual([id, other.id])
})

test('a payee proves the claimable amount against the root on chain', async () => {
  const payee = run.payees.find(({ accrued }: { accrued: string }) => BigInt(accrued) > 0n)
  const view = await (await fetch(`${run.api.baseUrl}/payees/${payee.address}`)).json()
  expect(view).toMatchObject({ accrued: payee.accrued, proof: { root: run.epoch.root, amount: payee.accrued } })
})

test("the deployed watcher vetoes a root that the settler's own key signed and no log gives", async () => {
  const { settlement: contract } = run.chain.contracts
  const { emulator, outputs } = { emulator: platform.emulator, outputs: platform.deployed.outputs }
  const { endpoint, region } = emulator
  const kms = new KMSClient({ endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
  const keyId = outputs['SettlerKeyArn']!
  const [settler, watcher] = await Promise.all([keyId, outputs['WatcherKeyArn']!].map((id) => kmsAddress(id, kms)))
  expect(watcher).not.toBe(settler)
  await onChain(context, async (rpc) => {
    const settlement = new Contract(contract, settlementInterface, rpc)
    const [root, state, total] = await Promise.all(
      ['currentRoot', 'state', 'total'].map((name) => settlement.getFunction(name)()),
    )
    const [epoch, wrong] = [Number(state.epoch) + 1, `0x${'66'.repeat(32)}`]
    const data = settlementInterface.encodeFunctionData('propose', [epoch, root, wrong, total, wrong, wrong, 0n])
    const { baseFeePerGas } = (await rpc.getBlock('latest'))!
    const fees = { maxFeePerGas: 3n * baseFeePerGas! + 1n, maxPriorityFeePerGas: 1n }
    const nonce = await rpc.getTransactionCount(settler!)
    const signer = new KmsSigner({ keyId, address: settler!, chainId: context.chain.chainId }, kms)
    const { raw } = await signer.sign({ to: contract, data, gasLimit: 400_000n, nonce, ...fees })
    await (await rpc.broadcastTransaction(raw)).wait()
    const veto = await until('the veto', 150, async () => {
      const [found] = await settlement.queryFilter(settlement.filters['Vetoed']!(epoch), 0)
      return found
    })
    expect((veto as EventLog).args[2]).toBe(watcher)
    await expect(settlement.getFunction('activate').staticCall(epoch, wrong)).rejects.toThrow()
    expect(await settlement.getFunction('currentRoot')()).toBe(root)
  })
})

test('an address belongs to the wallet that signs for it, and to one account', async () => {
  const [mine, theirs] = Object.values(run.people.contributors) as { token: string; address: string }[]
  const api = new ApiClient(run.api.baseUrl, mine!.token)
  const { id, signingDomain } = await api.get('/accounts/me')
  const wallet = Wallet.createRandom()
  const put = (address: string, proof?: object) => api.put('/accounts/me', { address, ...(proof ? { proof } : {}) })
  const proof = await proveAddress(wallet, id, signingDomain)
  await expect(put(theirs!.address)).rejects.toThrow('"param":"proof"')
  await expect(put(theirs!.address, proof)).rejects.toThrow('address-not-proved')
  const foreign = await proveAddress(wallet, `acc_${'a'.repeat(24)}`, signingDomain)
  await expect(put(wallet.address, foreign)).rejects.toThrow('address-not-proved')
  expect((await api.get('/accounts/me')).address).toBe(mine!.address)
})

test(
  'a withdrawn contribution is not named again, and only its contributor or curator may withdraw it',
  async () => {
    const api = new ApiClient(run.api.baseUrl, run.keys.client)
    const attributed = async (key: string) => {
      const { openledger } = (await client().completions.create(
        { model: run.adapters[0].name, prompt: 'This License', max_tokens: 64, temperature: 0 },
        { headers: { 'Idempotency-Key': key } },
      )) as unknown as { openledger: { receipt_id: string } }
      for (let tries = 0; tries < 480; tries++) {
        const receipt = await api.get(`/receipts/${openledger.receipt_id}`)
        if (receipt.state === 'completed') return receipt
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
      throw new Error('the receipt stayed pending')
    }
    type Span = { owners: { contributor: string; datanetId: string }[] }
    const before = await attributed('e2e-before-withdrawal')
    const { spans } = before.attribution
    expect(spans.length).toBeGreaterThan(0)
    expect(before.spanTexts).toHaveLength(spans.length)
    for (const text of before.spanTexts) expect(Buffer.byteLength(text)).toBeGreaterThan(20)

    const { contributor, datanetId } = spans[0].owners[0]
    const datanet = await api.get(`/datanets/${datanetId}`)
    const { parts } = await api.get(`/datanets/${datanetId}/versions/${datanet.version}`)
    const { contribution } = parts.find((part: { contributor: string }) => part.contributor === contributor)
    const route = `/datanets/${datanetId}/contributions/${contribution}`
    const people: ApiClient[] = await Promise.all(
      Object.values<{ token: string }>(run.people.contributors).map(
        ({ token }) => new ApiClient(run.api.baseUrl, token),
      ),
    )
    const ids = await Promise.all(people.map(async (person) => (await person.get('/accounts/me')).id))
    const own = people[ids.indexOf(contributor)]!
    const other = people[ids.findIndex((id) => id !== contributor)]!
    await expect(other.post(`${route}/withdraw`, { rows: 'all' })).rejects.toMatchObject({ status: 404 })
    await expect(own.post(`${route}/withdraw`, { rows: ['none'] })).rejects.toMatchObject({ status: 400 })
    expect(await own.post(`${route}/withdraw`, { rows: 'all' })).toMatchObject({ contribution, rows: null })
    expect(await own.get(route)).toMatchObject({ state: 'withdrawn' })

    const after = await attributed('e2e-after-withdrawal')
    const named = after.attribution.spans.flatMap(({ owners }: Span) => owners.map((owner) => owner.contributor))
    expect(named).not.toContain(contributor)
    expect(after.attribution.shares.map(({ payee }: { payee: string }) => payee)).not.toContain(contributor)
    expect(after.attribution.missing).toEqual([])

    const s3 = new S3Client({ ...context.aws, forcePathStyle: true })
    const { Buckets = [] } = await s3.send(new ListBucketsCommand({}))
    const Bucket = Buckets.map(({ Name }) => Name!).find((name) => name.includes('storagedata'))!
    const versionsOf = async (Prefix: string) =>
      (await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix }))).Versions ?? []
    await until('the erasure', 60, async () =>
      (await versionsOf(`quarantine/${datanetId}/${contribution}`)).length === 0 ? true : undefined,
    )
    const kept = await versionsOf(`datanets/${datanetId}/parts/${contribution}/`)
    expect(kept.every(({ IsLatest }) => IsLatest)).toBe(true)
    const rows = kept.find(({ Key }) => Key!.endsWith('rows.jsonl'))!
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: rows.Key! }))
    expect((await Body!.transformToString()).trim()).toBe('')
  },
  5 * MINUTES,
)

test(
  'Ctrl-C leaves no process, and started again the example pays nobody twice',
  async () => {
    const addresses = run.payees.map(({ address }: { address: string }) => address)
    const before = await openOf(context, addresses)
    await platform.stop()
    const { code, left, table, told } = await startAndInterrupt(dir)
    expect({ code, left }, told.slice(-4000)).toEqual({ code: 0, left: [] })
    expect(table).toMatch(/unattributed residual of \d+ answers/)
    expect(secretsInLogs()).toEqual([])
    platform = await startPlatform(dir, createProgress())
    context = contextOf(platform, log)
    expect(await openOf(context, addresses)).toEqual(before)
  },
  5 * MINUTES,
)

/** Keys, tokens, wallets and what was asked or answered, as far as any log of this platform holds them. */
const secretsInLogs = (): string[] => {
  const logs = ['aws/services/cloudwatch_logs.json', 'logs/aws.log', 'logs/chain.log']
    .map((file) => readFileSync(join(dir, file), 'utf8'))
    .join('\n')
  const { done } = context.journal as {
    done: Record<string, { text?: string; password?: string; privateKey?: string } | null>
  }
  const kept = Object.values(done).flatMap((entry) => entry ?? [])
  const answers = kept.flatMap(({ text }) => (text && text.trim().length > 30 ? [text.trim()] : []))
  const people = kept.flatMap(({ password, privateKey }) => [password ?? [], privateKey ?? []].flat())
  expect(answers.length).toBeGreaterThan(10)
  expect(logs.length).toBeGreaterThan(10_000)
  const secrets = [run.keys.client, run.people.builder, run.people.operator, ...people, ...answers]
  return secrets.filter((secret) => logs.includes(JSON.stringify(secret).slice(1, 40)))
}

dyingWorkers(() => ({
  context,
  client: client(),
  model: run.adapters[0].name,
  api: new ApiClient(run.api.baseUrl, run.keys.client),
}))

accessMatrix(() => townOf(run, context.journal.done))

test('what CloudFormation asks when the stack goes takes every endpoint down, with the grants that it has', async () => {
  const { endpoint, region } = platform.emulator
  const scope = `test/20260101/${region}/lambda/aws4_request`
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=none`
  const lambda = async (path: string, init: RequestInit = {}) => {
    const reply = await fetch(`${endpoint}/2015-03-31/functions/${path}`, { ...init, headers: { authorization } })
    return (await reply.json().catch(() => null)) as { Functions: { FunctionName: string }[] }
  }
  const { Functions } = await lambda('?MaxItems=1000')
  const name = Functions.find(({ FunctionName }) => FunctionName.includes('RemoveEndpoints'))!.FunctionName
  const answers: { Status: string }[] = []
  const server = createServer((request, reply) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => reply.end(answers.push(JSON.parse(body)) && ''))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const ResponseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const ids = { StackId: 's', RequestId: 'r', LogicalResourceId: 'l', PhysicalResourceId: 'p' }
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const sagemaker = new SageMakerClient({ endpoint, region, credentials })
  const endpoints = async () => (await sagemaker.send(new ListEndpointsCommand({}))).Endpoints ?? []
  expect((await endpoints()).length).toBeGreaterThanOrEqual(2)
  const body = JSON.stringify({ RequestType: 'Delete', ResponseURL, ...ids })
  await lambda(`${name}/invocations`, { method: 'POST', body })
  server.close()
  expect(answers).toEqual([expect.objectContaining({ Status: 'SUCCESS', ...ids })])
  await until('the end of the endpoints', 60, async () => ((await endpoints()).length === 0 ? true : undefined))
})
