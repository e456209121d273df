import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ApiClient, until } from '../../local/example/api-client.ts'
import { venvPython } from '../../local/paths.ts'
import { clientOf, loop, MINUTES, refusal } from './loop.ts'

/** What an API client meets: answers, refusals, bursts, and who may see what. */
export const answers = (): void => {
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
      ['-c', script, loop.run.keys.client, loop.run.api.openaiBaseUrl, loop.run.adapters[0].name],
      { timeout: MINUTES },
    )
    expect(Number(stdout.split(' ')[0])).toBeGreaterThan(3)
  })

  test('refusals are typed, and readable by the openai client', async () => {
    const model = loop.run.adapters[0].name
    expect(await refusal(clientOf('ol_nobody').completions.create({ model, prompt: 'x' }))).toMatchObject({
      status: 401,
    })
    expect(await refusal(clientOf().completions.create({ model: 'example/none', prompt: 'x' }))).toEqual({
      status: 404,
      code: 'model-not-found',
    })
    expect(await refusal(clientOf().completions.create({ model, prompt: 'x', max_tokens: -1 }))).toEqual({
      status: 400,
      code: 'invalid-request',
    })
    expect(await refusal(clientOf().completions.create({ model, prompt: 'x', max_tokens: 10 ** 9 }))).toEqual({
      status: 400,
      code: 'invalid-request',
    })
  })

  test('an account without balance is refused with 402, and its hold leaves nothing behind', async () => {
    const [name] = Object.keys(loop.run.people.contributors)
    const poor = new ApiClient(loop.run.api.baseUrl, loop.run.people.contributors[name!].token)
    const { secret } = await poor.post('/accounts/me/keys', { name: 'empty' })
    expect(
      await refusal(clientOf(secret).completions.create({ model: loop.run.adapters[0].name, prompt: 'x' })),
    ).toEqual({
      status: 402,
      code: 'insufficient-balance',
    })
    expect(await poor.get('/accounts/me')).toMatchObject({ balance: '0', held: '0' })
  })

  test('the same Idempotency-Key is billed once and answered the same', async () => {
    const api = new ApiClient(loop.run.api.baseUrl, loop.run.keys.client)
    const ask = () =>
      clientOf().completions.create(
        { model: loop.run.adapters[0].name, prompt: 'This License', max_tokens: 8, temperature: 0 },
        { headers: { 'Idempotency-Key': 'e2e-once' } },
      )
    const first = await ask()
    const { balance } = await api.get('/accounts/me')
    expect(await ask()).toEqual(first)
    expect((await api.get('/accounts/me')).balance).toBe(balance)
  })

  test('200 requests of one account with transaction conflicts: no 5xx, and the money is exact', async () => {
    const api = new ApiClient(loop.run.api.baseUrl, loop.run.keys.client)
    const sum = (account: { balance: string; held: string }) => BigInt(account.balance) + BigInt(account.held)
    const before = await api.get('/accounts/me')
    await loop.platform.emulator.injectConflicts(0.3)
    const fees: bigint[] = []
    const refused: number[] = []
    const rest = Array.from({ length: 200 }, (_, n) => n)[Symbol.iterator]()
    const ask = async () => {
      for (const n of rest) {
        const body = JSON.stringify({ model: loop.run.adapters[0].name, prompt: `${n}`, max_tokens: 1, temperature: 0 })
        const headers = { authorization: `Bearer ${loop.run.keys.client}`, 'content-type': 'application/json' }
        const reply = await fetch(`${loop.run.api.openaiBaseUrl}/completions`, { method: 'POST', headers, body })
        if (reply.ok) fees.push(BigInt((await reply.json()).openledger.fee))
        else refused.push(reply.status)
      }
    }
    // As many at once as a laptop has Lambda workers for; the ledger's own test has all 200 at once.
    await Promise.all(Array.from({ length: 16 }, ask)).finally(() => loop.platform.emulator.injectConflicts(0))
    const after = await api.get('/accounts/me')
    expect(refused.filter((status) => status !== 429)).toEqual([])
    // A question that a kill cut off keeps its hold until the sweeper frees it: none was added to those.
    expect(BigInt(after.held)).toBeLessThanOrEqual(BigInt(before.held))
    expect(sum(before) - sum(after)).toBe(fees.reduce((total, fee) => total + fee, 0n))
  }, 240_000)

  test('after the burst the backlog drains: every answer gets its influence scores, and none is paid without', async () => {
    const api = new ApiClient(loop.run.api.baseUrl, loop.run.keys.client)
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
    const [name] = Object.keys(loop.run.people.contributors)
    const stranger = new ApiClient(loop.run.api.baseUrl, loop.run.people.curator)
    await expect(stranger.get(`/receipts/${loop.run.inferences[0].receiptId}`)).rejects.toMatchObject({ status: 404 })
    await expect(stranger.post('/epochs:close')).rejects.toMatchObject({ status: 403 })
    await expect(
      new ApiClient(loop.run.api.baseUrl, loop.run.people.contributors[name!].token).call(
        'PUT',
        '/base-models/stolen',
        {
          files: [],
        },
      ),
    ).rejects.toMatchObject({ status: 403 })
    await expect(new ApiClient(loop.run.api.baseUrl, 'nonsense').get('/accounts/me')).rejects.toMatchObject({
      status: 401,
    })
  })
}
