import type { Hold } from '#ledger/balances.store'
import { feeOf } from '#ledger/fee'
import type { Caller } from '#schema/accounts'
import { OpenLedgerError } from '#schema/errors'
import type { Billing, Transcript } from '#schema/receipt'
import type { Served } from './models.store.ts'
import { type CompletionBody, receiptIdFor, salted, servingBody, worstCase } from './request.ts'
import { asEvent, eventData } from './server-sent-events.ts'

/** Longer than the function's own limit of 15 minutes: a hold is never swept under a living request. */
export const HOLD_SECONDS = 960

export interface Ports {
  resolve(model: string): Promise<Served>
  claim(receiptId: string): Promise<boolean>
  unclaim(receiptId: string): Promise<void>
  /** The finished reply of an earlier request under this receipt id, if there is one. */
  earlier(receiptId: string): Promise<string | undefined>
  reserve(hold: Omit<Hold, 'shard'>): Promise<Hold>
  release(hold: Hold): Promise<unknown>
  settle(hold: Hold, bill: (position: { shard: number; sequence: number }) => Billing): Promise<Billing>
  ask(shards: string[], adapterId: string, body: string): Promise<AsyncIterable<Uint8Array>>
  saveTranscript(transcript: Transcript): Promise<void>
  linkedTo(accountId: string): Promise<string[]>
  newReceiptId(): string
  newSalt(): string
  now(): Date
  platform: { feeBps: number; payee: string }
}
export interface Call {
  caller: Extract<Caller, { kind: 'client' }>
  body: CompletionBody
  idempotencyKey: string | undefined
}
type Answer = { stream: false; text: string } | { stream: true; events: AsyncGenerator<string> }

interface Usage {
  prompt_tokens: number
  completion_tokens: number
}
// biome-ignore lint/suspicious/noExplicitAny: the serving image's OpenAI objects pass through with fields we do not read
type Reply = Record<string, any>

/**
 * One inference: reserve the worst case, ask the model, settle what was used, and only then let the last piece go out.
 * Nothing delivered is free, nothing undelivered is charged.
 */
export const answer = async (ports: Ports, call: Call): Promise<Answer> => {
  const receiptId = call.idempotencyKey
    ? receiptIdFor(call.caller.accountId, call.idempotencyKey)
    : ports.newReceiptId()
  if (call.idempotencyKey && !(await ports.claim(receiptId))) return repeated(ports, call, receiptId)
  try {
    return await fresh(ports, call, receiptId)
  } catch (error) {
    // Nothing was delivered: the same key may try again at once.
    if (call.idempotencyKey) await ports.unclaim(receiptId)
    throw error
  }
}

const fresh = async (ports: Ports, call: Call, receiptId: string): Promise<Answer> => {
  const served = await ports.resolve(call.body.model)
  const { adapter } = served
  const worst = feeOf(worstCase(call.body, adapter.maxTokens), adapter.price, ports.platform.feeBps).fee
  const hold = await ports.reserve({
    receiptId,
    accountId: call.caller.accountId,
    amount: worst,
    key: keyOf(call.caller),
  })
  const request = servingBody(call.body, adapter.id)
  const chunks = await orRelease(ports, hold, () => ports.ask(served.shards, adapter.id, request))
  const bill = new Bill(ports, call, served, hold, request)
  if (call.body.stream) return { stream: true, events: streamed(bill, chunks) }
  return orRelease(ports, hold, async () => {
    const reply = JSON.parse(await collect(chunks)) as Reply
    return { stream: false, text: await bill.settle(reply, reply['usage'], 'stop') }
  })
}

const keyOf = (caller: Call['caller']): Hold['key'] => ({
  id: caller.keyId,
  ...(caller.budget === undefined ? {} : { budget: BigInt(caller.budget) }),
  ...(caller.ratePerMinute === undefined ? {} : { ratePerMinute: caller.ratePerMinute }),
})

const repeated = async (ports: Ports, call: Call, receiptId: string): Promise<Answer> => {
  const text = await ports.earlier(receiptId)
  if (!text)
    throw new OpenLedgerError('request-in-flight', 'A request with this Idempotency-Key is still being answered.', {
      retryAfter: 5,
    })
  if (!call.body.stream) return { stream: false, text }
  return {
    stream: true,
    events: (async function* () {
      yield asEvent(asChunk(JSON.parse(text)))
      yield asEvent('[DONE]')
    })(),
  }
}

/** A finished reply as the one chunk that a streaming client understands. */
const asChunk = (reply: Reply): Reply => ({
  ...reply,
  object: reply['object'] === 'chat.completion' ? 'chat.completion.chunk' : reply['object'],
  choices: reply['choices'].map(({ message, ...choice }: Reply) => (message ? { ...choice, delta: message } : choice)),
})

/** Passes the chunks on, keeps back the last ones until the money is settled, and charges what was made if it breaks. */
async function* streamed(bill: Bill, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const parts: Reply[] = []
  const last: Reply[] = []
  let ended = false
  try {
    for await (const data of eventData(chunks)) {
      if (data === '[DONE]') break
      const chunk = JSON.parse(data) as Reply
      if (chunk['error']) throw new OpenLedgerError('unavailable', String(chunk['error'].message))
      const finishing = chunk['usage'] || chunk['choices']?.some((choice: Reply) => choice['finish_reason'])
      if (finishing || last.length > 0) last.push(chunk)
      if (chunk['choices']?.length) parts.push(chunk)
      if (last.length === 0) yield asEvent(chunk)
    }
    const usage = last.findLast((chunk) => chunk['usage'])
    if (!usage) throw new OpenLedgerError('unavailable', 'The model stopped in the middle of its answer.')
    const whole = { ...gather(parts), openledger: usage['openledger'] }
    const receipt = JSON.parse(await bill.settle(whole, usage['usage'], 'stop'))['openledger']
    ended = true
    for (const chunk of last) {
      const { openledger: _transcript, ...rest } = chunk
      if (rest['choices']?.length > 0) yield asEvent({ ...rest, openledger: receipt })
      else if (bill.wantsUsage) yield asEvent({ ...rest, openledger: receipt })
    }
    yield asEvent('[DONE]')
  } catch (error) {
    if (!ended) await bill.settleBroken(gather(parts), parts.length, 'error')
    ended = true
    const known =
      error instanceof OpenLedgerError
        ? error
        : new OpenLedgerError('unavailable', 'The answer broke off; what was made is charged.')
    yield asEvent({ error: { message: known.message, type: 'server_error', code: known.code, param: null } })
  } finally {
    if (!ended) await bill.settleBroken(gather(parts), parts.length, 'cancelled')
  }
}

/** One whole reply out of the chunks of a stream, per choice index. */
const gather = (parts: Reply[]): Reply => {
  const texts = new Map<number, { text: string; finish: string | null }>()
  for (const part of parts)
    for (const choice of part['choices'] as Reply[]) {
      const entry = texts.get(choice['index']) ?? { text: '', finish: null }
      entry.text += choice['delta']?.content ?? choice['text'] ?? ''
      entry.finish = choice['finish_reason'] ?? entry.finish
      texts.set(choice['index'], entry)
    }
  const chat = parts[0]?.['object'] === 'chat.completion.chunk'
  const choices = [...texts]
    .sort(([a], [b]) => a - b)
    .map(([index, { text, finish }]) => ({
      index,
      finish_reason: finish,
      ...(chat ? { message: { role: 'assistant', content: text } } : { text }),
    }))
  return {
    id: parts[0]?.['id'] ?? '',
    object: chat ? 'chat.completion' : 'text_completion',
    created: parts[0]?.['created'] ?? 0,
    model: parts[0]?.['model'] ?? '',
    choices,
  }
}

const collect = async (chunks: AsyncIterable<Uint8Array>): Promise<string> => {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts).toString('utf8')
}

const orRelease = async <Value>(ports: Ports, hold: Hold, work: () => Promise<Value>): Promise<Value> => {
  try {
    return await work()
  } catch (error) {
    await ports.release(hold)
    throw error
  }
}

/** Writes the transcript, then settles the hold into a receipt. */
class Bill {
  readonly #ports: Ports
  readonly #call: Call
  readonly #served: Served
  readonly #hold: Hold
  readonly #request: string
  constructor(ports: Ports, call: Call, served: Served, hold: Hold, request: string) {
    this.#ports = ports
    this.#call = call
    this.#served = served
    this.#hold = hold
    this.#request = request
  }

  get wantsUsage(): boolean {
    return this.#call.body.stream_options?.['include_usage'] === true
  }

  /** The finished reply as the caller gets it, with the receipt in it. */
  async settle(reply: Reply, usage: Usage, finish: Billing['finishReason']): Promise<string> {
    const { openledger: transcript, ...rest } = reply
    const fee = this.#fee(usage)
    const receipt = {
      receipt_id: this.#hold.receiptId,
      adapter_id: this.#served.adapter.id,
      fee: fee.fee.toString(),
      attribution: 'pending',
    }
    const text = JSON.stringify({ ...rest, model: this.#served.name, usage, openledger: receipt })
    const choices = (transcript?.choices ?? (transcript ? [transcript] : [])) as Reply[]
    const finishes = (rest['choices'] as Reply[]).map((choice) => choice['finish_reason'])
    await this.#write(text, choices, usage, finish === 'stop' && finishes.includes('length') ? 'length' : finish)
    return text
  }

  /** Charges what was made when the answer broke or the caller went away: one token a piece that was sent. */
  async settleBroken(reply: Reply, pieces: number, finish: 'cancelled' | 'error'): Promise<void> {
    if (pieces === 0) {
      await this.#ports.release(this.#hold)
      if (this.#call.idempotencyKey) await this.#ports.unclaim(this.#hold.receiptId)
      return
    }
    await this.settle(reply, { prompt_tokens: 0, completion_tokens: pieces }, finish)
  }

  #fee(usage: Usage) {
    return feeOf(
      { prompt: usage.prompt_tokens, completion: usage.completion_tokens },
      this.#served.adapter.price,
      this.#ports.platform.feeBps,
    )
  }

  async #write(text: string, choices: Reply[], usage: Usage, finishReason: Billing['finishReason']): Promise<void> {
    const { adapter, name, versions } = this.#served
    const salt = this.#ports.newSalt()
    const payer = this.#call.caller.accountId
    await this.#ports.saveTranscript({
      receiptId: this.#hold.receiptId,
      adapterId: adapter.id,
      salt,
      request: this.#request,
      response: text,
      choices: choices.map((choice) => ({
        promptText: choice['prompt_text'],
        promptTokens: choice['prompt_tokens'],
        outputText: choice['output_text'],
        outputTokens: choice['output_tokens'],
      })),
    })
    const linkedToPayer = await this.#ports.linkedTo(payer)
    const { net, platformFee, fee } = this.#fee(usage)
    await this.#ports.settle(this.#hold, ({ shard, sequence }) => ({
      receiptId: this.#hold.receiptId,
      payer,
      shard,
      sequence,
      adapterId: adapter.id,
      adapterName: name,
      baseId: adapter.baseId,
      datanets: versions.map((version, i) => ({
        id: version.datanetId,
        version: version.version,
        root: version.root,
        trainedTokens: adapter.datanets[i]!.trainedTokens,
        policy: version.policy,
      })),
      owner: adapter.owner,
      split: adapter.split,
      price: adapter.price,
      attribution: adapter.attribution,
      confidence: adapter.confidence,
      linkedToPayer,
      requestDigest: salted(salt, this.#request),
      responseDigest: salted(salt, text),
      promptTokens: usage.prompt_tokens,
      completionTokens: usage.completion_tokens,
      finishReason,
      net: net.toString(),
      platformFee: platformFee.toString(),
      platformPayee: this.#ports.platform.payee,
      fee: fee.toString(),
      createdAt: this.#ports.now().toISOString(),
    }))
  }
}
