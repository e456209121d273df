import { expect, test } from 'vitest'
import { answer, type Call, type Ports } from '../../../functions/open-lora/answer.ts'

const adapter = {
  id: 'a'.repeat(32),
  owner: 'acc_1',
  baseId: 'base',
  price: { inputPer1000: '1000', outputPer1000: '1000' },
  datanets: [],
  maxTokens: 100,
}
const sse = (...events: unknown[]) =>
  events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join('')
const piece = (text: string, finish: string | null = null) => ({
  object: 'text_completion',
  choices: [{ index: 0, text, finish_reason: finish }],
})
const usage = {
  object: 'text_completion',
  choices: [],
  usage: { prompt_tokens: 2, completion_tokens: 2 },
  openledger: { prompt_text: 'p', prompt_tokens: [1, 2], output_text: 'ab', output_tokens: [] },
}

/** Ports in memory, with a log of what was done in which order. */
const world = (reply: string, options: { failSettle?: boolean; breakAfter?: boolean } = {}) => {
  const log: string[] = []
  const ports = {
    resolve: async () => ({ name: 'n/m', adapter, shards: ['s'], versions: [] }),
    claim: async () => true,
    unclaim: async () => void log.push('unclaim'),
    earlier: async () => undefined,
    reserve: async (hold: object) => ({ ...hold, shard: 0 }),
    release: async () => void log.push('release'),
    settle: async (
      _hold: object,
      bill: (at: { shard: number; sequence: number }) => { completionTokens: number; finishReason: string },
    ) => {
      if (options.failSettle) throw new Error('settle failed')
      const billing = bill({ shard: 0, sequence: 1 })
      log.push(`settle ${billing.completionTokens} ${billing.finishReason}`)
      return billing
    },
    ask: async () =>
      (async function* () {
        yield Buffer.from(reply)
        if (options.breakAfter) throw new Error('broken')
      })(),
    saveTranscript: async () => void log.push('transcript'),
    linkedTo: async (id: string) => [id],
    newReceiptId: () => 'rcp_1',
    newSalt: () => 'salt',
    now: () => new Date(0),
    platform: { feeBps: 0, payee: 'acc_p' },
  } as unknown as Ports
  const call = (stream: boolean): Call =>
    ({
      caller: { kind: 'client', accountId: 'acc_c', keyId: 'key_1' },
      body: { model: 'n/m', prompt: 'p', stream },
      idempotencyKey: 'k',
    }) as unknown as Call
  return { log, ports, call }
}
const drain = async (reply: Awaited<ReturnType<typeof answer>>, log: string[]) => {
  const events: string[] = []
  if (reply.stream) for await (const event of reply.events) events.push(event) && log.push('sent')
  return events.join('')
}

test('the last pieces go out only after the money is settled', async () => {
  const { log, ports, call } = world(sse(piece('a'), piece('b', 'stop'), usage, '[DONE]'))
  const text = await drain(await answer(ports, call(true)), log)
  expect(log).toEqual(['sent', 'transcript', 'settle 2 stop', 'sent', 'sent'])
  expect(text).toContain('"receipt_id"')
  expect(text).not.toContain('prompt_text')
})

test('a stream that breaks charges the pieces that went out', async () => {
  const { log, ports, call } = world(sse(piece('a'), piece('b')), { breakAfter: true })
  expect(await drain(await answer(ports, call(true)), log)).toContain('"error"')
  expect(log).toEqual(['sent', 'sent', 'transcript', 'settle 2 error', 'sent'])
})

test('a stream that breaks before its first piece costs nothing and frees its key', async () => {
  const { log, ports, call } = world('', { breakAfter: true })
  await drain(await answer(ports, call(true)), log)
  expect(log.slice(0, 2)).toEqual(['release', 'unclaim'])
})

test.each([
  ['a reply that is no JSON', 'nonsense', {}],
  ['a settle that fails', JSON.stringify({ ...usage, choices: [] }), { failSettle: true }],
])('%s gives hold and key back', async (_name, reply, options) => {
  const { log, ports, call } = world(reply, options)
  await expect(answer(ports, call(false))).rejects.toThrow()
  expect(log.filter((entry) => entry !== 'transcript')).toEqual(['release', 'unclaim'])
})
