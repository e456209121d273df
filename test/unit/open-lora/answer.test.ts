import { expect, test } from 'vitest'
import { answer } from '../../../functions/open-lora/answer.ts'
import type { Call, Ports } from '../../../functions/open-lora/ports.ts'
import { salted } from '../../../functions/open-lora/request.ts'
import type { Transcript } from '../../../functions/schema/receipt.ts'

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
/** A piece that tells the tokens so far, as the serving image does when it is asked to. */
const counted = (text: string, tokens: number, finish: string | null = null) => ({
  ...piece(text, finish),
  usage: { prompt_tokens: 2, completion_tokens: tokens },
})
const usage = {
  object: 'text_completion',
  choices: [],
  usage: { prompt_tokens: 2, completion_tokens: 2 },
  openledger: { prompt_text: 'p', prompt_tokens: [1, 2], output_text: 'ab', output_tokens: [] },
}

interface Options {
  /** So many settles fail before they are written. */
  failSettles?: number
  /** The first settle is written, and its acknowledgement lost. */
  loseFirstReply?: boolean
  breakAfter?: boolean
  /** Another request has the key. */
  claimed?: boolean
  settled?: boolean
}
interface Bill {
  promptTokens: number
  completionTokens: number
  finishReason: string
  responseDigest: string
}

/** Ports in memory, with a log of what was done in which order. */
const world = (reply: string, options: Options = {}) => {
  const log: string[] = []
  const transcripts: Transcript[] = []
  let settles = 0
  let written: Bill | undefined
  const ports = {
    resolve: async () => ({ name: 'n/m', adapter, shards: ['s'], versions: [] }),
    claim: async () => !options.claimed,
    unclaim: async () => void log.push('unclaim'),
    settled: async () => options.settled === true,
    earlier: async () => JSON.stringify({ object: 'text_completion', choices: [{ index: 0, text: 'ab' }] }),
    reserve: async (hold: object) => ({ ...hold, shard: 0 }),
    release: async () => void log.push('release'),
    settle: async (_hold: object, bill: (at: { shard: number; sequence: number }) => Bill) => {
      if (settles++ < (options.failSettles ?? 0)) throw new Error('settle failed')
      if (written) return written
      written = bill({ shard: 0, sequence: 1 })
      log.push(`settle ${written.promptTokens}+${written.completionTokens} ${written.finishReason}`)
      if (options.loseFirstReply) throw new Error('no acknowledgement')
      return written
    },
    ask: async () =>
      (async function* () {
        yield Buffer.from(reply)
        if (options.breakAfter) throw new Error('broken')
      })(),
    saveTranscript: async (transcript: Transcript) => {
      transcripts.push(transcript)
      log.push('transcript')
    },
    linkedTo: async (id: string) => [id],
    newReceiptId: () => 'rcp_1',
    newSalt: () => `salt ${transcripts.length}`,
    now: () => new Date(0),
    platform: { feeBps: 0, payee: 'acc_p' },
  } as unknown as Ports
  const call = (stream: boolean): Call =>
    ({
      caller: { kind: 'client', accountId: 'acc_c', keyId: 'key_1' },
      body: { model: 'n/m', prompt: 'p', stream },
      idempotencyKey: 'k',
    }) as unknown as Call
  return { log, ports, call, transcripts, written: () => written }
}
const drain = async (reply: Awaited<ReturnType<typeof answer>>, log: string[]) => {
  const events: string[] = []
  if (reply.stream) for await (const event of reply.events) events.push(event) && log.push('sent')
  return events.join('')
}

test('the last pieces go out only after the money is settled', async () => {
  const { log, ports, call } = world(sse(piece('a'), piece('b', 'stop'), usage, '[DONE]'))
  const text = await drain(await answer(ports, call(true)), log)
  expect(log).toEqual(['sent', 'transcript', 'settle 2+2 stop', 'sent', 'sent'])
  expect(text).toContain('"receipt_id"')
  expect(text).not.toContain('prompt_text')
})

test('a stream that breaks charges the pieces that went out', async () => {
  const { log, ports, call } = world(sse(piece('a'), piece('b')), { breakAfter: true })
  expect(await drain(await answer(ports, call(true)), log)).toContain('"error"')
  expect(log).toEqual(['sent', 'sent', 'transcript', 'settle 0+2 error', 'sent'])
})

test('a stream that breaks before its first piece costs nothing and frees its key', async () => {
  const { log, ports, call } = world('', { breakAfter: true })
  await drain(await answer(ports, call(true)), log)
  expect(log.slice(0, 2)).toEqual(['release', 'unclaim'])
})

test.each([
  ['a reply that is no JSON', 'nonsense', {}],
  ['a settle that fails', JSON.stringify({ ...usage, choices: [] }), { failSettles: 9 }],
])('%s gives hold and key back', async (_name, reply, options) => {
  const { log, ports, call } = world(reply, options)
  await expect(answer(ports, call(false))).rejects.toThrow()
  expect(log.filter((entry) => entry !== 'transcript')).toEqual(['release', 'unclaim'])
})

test('what was kept back when the settle failed is neither sent nor charged', async () => {
  const all = { ...usage, usage: { prompt_tokens: 2, completion_tokens: 3 } }
  const reply = sse(counted('a', 1), counted('b', 2), counted('c', 3, 'stop'), all, '[DONE]')
  const { log, ports, call } = world(reply, { failSettles: 1 })
  const text = await drain(await answer(ports, call(true)), log)
  expect(log).toEqual(['sent', 'sent', 'transcript', 'transcript', 'settle 2+2 error', 'sent'])
  expect(text).toContain('"error"')
  expect(text).not.toContain('"c"')
  expect(text).not.toContain('prompt_tokens')
})

test('a caller who hangs up is charged the prompt and the tokens made by then', async () => {
  const { log, ports, call } = world(sse(counted('a', 3), counted('b', 5), counted('', 9, 'stop'), usage, '[DONE]'))
  const reply = await answer(ports, call(true))
  if (!reply.stream) throw new Error('not a stream')
  await reply.events.next()
  await reply.events.return(undefined)
  expect(log).toEqual(['transcript', 'settle 2+3 cancelled'])
})

test('a caller who hangs up before the first token pays nothing', async () => {
  const { log, ports, call } = world(sse(counted('', 0), counted('a', 1), usage, '[DONE]'))
  const reply = await answer(ports, call(true))
  if (!reply.stream) throw new Error('not a stream')
  await reply.events.next()
  await reply.events.return(undefined)
  expect(log).toEqual(['release', 'unclaim'])
})

test('a settle whose acknowledgement was lost keeps the transcript that it was made with', async () => {
  const reply = sse(counted('a', 1), counted('b', 2, 'stop'), usage, '[DONE]')
  const { ports, call, transcripts, written } = world(reply, { loseFirstReply: true })
  await drain(await answer(ports, call(true)), [])
  const last = transcripts.at(-1)!
  expect(salted(last.salt, last.response)).toBe(written()!.responseDigest)
  expect(written()!.finishReason).toBe('stop')
})

test('an earlier reply is given again only once it is settled', async () => {
  const open = world('', { claimed: true })
  await expect(answer(open.ports, open.call(false))).rejects.toMatchObject({ code: 'request-in-flight' })
  const done = world('', { claimed: true, settled: true })
  expect(await answer(done.ports, done.call(false))).toMatchObject({
    stream: false,
    text: expect.stringContaining('ab'),
  })
})

test('documents of the request stand in the transcript', async () => {
  const { ports, call, transcripts } = world(sse(counted('a', 1, 'stop'), usage, '[DONE]'))
  const { body, ...rest } = call(true)
  const documents = [{ id: 'd', text: 'what was retrieved' }]
  await drain(await answer(ports, { ...rest, body: { ...body, openledger: { documents } } }), [])
  expect(transcripts.map((saved) => saved.documents)).toEqual([documents])
  expect(transcripts[0]!.request).not.toContain('retrieved')
})
