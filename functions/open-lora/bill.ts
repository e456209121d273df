import { feeOf } from '#ledger/fee'
import type { Hold } from '#ledger/hold'
import type { Billing, Transcript } from '#schema/receipt'
import type { Served } from './models.store.ts'
import type { Call, Ports } from './ports.ts'
import type { Reply, Usage } from './reply.ts'
import { salted } from './request.ts'

/** Writes the transcript, then settles the hold into a receipt. */
export class Bill {
  readonly #ports: Ports
  readonly #call: Call
  readonly #served: Served
  readonly #hold: Hold
  readonly #request: string
  readonly #saved: Transcript[] = []
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
    const receipt = {
      receipt_id: this.#hold.receiptId,
      adapter_id: this.#served.adapter.id,
      fee: this.#fee(usage).fee.toString(),
      attribution: 'pending',
    }
    const text = JSON.stringify({ ...rest, model: this.#served.name, usage, openledger: receipt })
    const choices = (transcript?.choices ?? (transcript ? [transcript] : [])) as Reply[]
    const finishes = (rest['choices'] as Reply[]).map((choice) => choice['finish_reason'])
    await this.#write(text, choices, usage, finish === 'stop' && finishes.includes('length') ? 'length' : finish)
    return text
  }

  /** Charges what had been made of the answer when it broke, or when the caller went away; nothing when that was nothing. */
  async settleBroken(reply: Reply, usage: Usage, finish: 'cancelled' | 'error'): Promise<void> {
    if (usage.completion_tokens > 0) {
      await this.settle(reply, usage, finish)
      return
    }
    await this.#ports.release(this.#hold)
    if (this.#call.idempotencyKey) await this.#ports.unclaim(this.#hold.receiptId)
  }

  #fee(usage: Usage) {
    const tokens = { prompt: usage.prompt_tokens, completion: usage.completion_tokens }
    return feeOf(tokens, this.#served.adapter.price, this.#ports.platform.feeBps)
  }

  async #write(text: string, choices: Reply[], usage: Usage, finishReason: Billing['finishReason']): Promise<void> {
    const salt = this.#ports.newSalt()
    const documents = this.#call.body.openledger?.documents
    const transcript: Transcript = {
      receiptId: this.#hold.receiptId,
      adapterId: this.#served.adapter.id,
      salt,
      request: this.#request,
      response: text,
      ...(documents ? { documents } : {}),
      choices: choices.map((choice) => ({
        promptText: choice['prompt_text'],
        promptTokens: choice['prompt_tokens'],
        outputText: choice['output_text'],
        outputTokens: choice['output_tokens'],
      })),
    }
    await this.#ports.saveTranscript(transcript)
    this.#saved.push(transcript)
    const linkedToPayer = await this.#ports.linkedTo(this.#call.caller.accountId)
    const settled = await this.#ports.settle(this.#hold, (position) =>
      this.#billing(position, { salt, text, usage, finishReason, linkedToPayer }),
    )
    // A settle whose acknowledgement was lost stands: its own transcript belongs to it, not the one just written.
    const own = this.#saved.find((saved) => salted(saved.salt, saved.response) === settled.responseDigest)
    if (own && own !== transcript) await this.#ports.saveTranscript(own)
  }

  #billing(
    position: { shard: number; sequence: number },
    made: {
      salt: string
      text: string
      usage: Usage
      finishReason: Billing['finishReason']
      linkedToPayer: string[]
    },
  ): Billing {
    const { adapter, name, versions } = this.#served
    const { net, platformFee, fee } = this.#fee(made.usage)
    return {
      receiptId: this.#hold.receiptId,
      payer: this.#call.caller.accountId,
      ...position,
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
      linkedToPayer: made.linkedToPayer,
      requestDigest: salted(made.salt, this.#request),
      responseDigest: salted(made.salt, made.text),
      promptTokens: made.usage.prompt_tokens,
      completionTokens: made.usage.completion_tokens,
      finishReason: made.finishReason,
      net: net.toString(),
      platformFee: platformFee.toString(),
      platformPayee: this.#ports.platform.payee,
      fee: fee.toString(),
      createdAt: this.#ports.now().toISOString(),
    }
  }
}
