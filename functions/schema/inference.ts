import * as z from 'zod'
import { AdapterId, AdapterName, ReceiptId } from './ids.ts'
import { Amount } from './money.ts'

const isWellFormed = (text: string) => text.isWellFormed()
/** Texts with an id each, 1 MiB of UTF-8 in all: what a receipt can be asked about in well under a second. */
const Documents = z
  .array(
    z.strictObject({
      id: z.string().min(1).max(200).refine(isWellFormed, 'holds half of a surrogate pair'),
      text: z.string().refine(isWellFormed, 'holds half of a surrogate pair'),
    }),
  )
  .max(100)
  .refine((list) => new Set(list.map(({ id }) => id)).size === list.length, 'two documents have one id')
  .refine((list) => list.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0) <= 1 << 20, 'more than 1 MiB')

/** The part of OpenAI's request that is served; unknown fields are passed by, as their clients send new ones freely. */
const sampling = {
  model: z.string().min(1).max(200),
  max_tokens: z.number().int().min(1).max(131_072).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.number().int().min(0).max(1000).nullish(),
  n: z.number().int().min(1).max(8).nullish(),
  seed: z.number().int().nullish(),
  stop: z.union([z.string().max(200), z.array(z.string().max(200)).max(4)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  user: z.string().max(200).nullish(),
  /**
   * Ours. `documents`: what the caller retrieved for this question (RAG). They are not put into the prompt, that is the
   * caller's work; the receipt tells its payer which stretches of the answer stand in which of them. They are paid nothing.
   */
  openledger: z.looseObject({ documents: Documents.optional() }).nullish(),
}

const TextPart = z.looseObject({ type: z.literal('text'), text: z.string() })
const ChatMessage = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(TextPart)]).nullable(),
})
export const ChatCompletionRequest = z.looseObject({
  ...sampling,
  messages: z.array(ChatMessage).min(1).max(1000),
  max_completion_tokens: z.number().int().min(1).max(131_072).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
})
export const CompletionRequest = z.looseObject({
  ...sampling,
  prompt: z.union([z.string(), z.array(z.string()).length(1)]),
  logprobs: z.number().int().min(0).max(20).nullish(),
  echo: z.literal(false).nullish(),
})
export type CompletionBody = z.output<typeof ChatCompletionRequest> | z.output<typeof CompletionRequest>

const ReceiptSummary = z.looseObject({
  receipt_id: ReceiptId,
  adapter_id: AdapterId,
  fee: Amount,
  attribution: z.union([z.literal('pending'), z.looseObject({})]),
})
export const CompletionReply = z.looseObject({ id: z.string(), object: z.string(), openledger: ReceiptSummary })

export const ModelList = z.strictObject({
  object: z.literal('list'),
  data: z.array(
    z.looseObject({ id: AdapterName, object: z.literal('model'), created: z.number().int(), owned_by: z.string() }),
  ),
})
