import { createHash } from 'node:crypto'
import type * as z from 'zod'
import { OpenLedgerError } from '#schema/errors'
import { AdapterName } from '#schema/ids'
import { ChatCompletionRequest, type CompletionBody, CompletionRequest } from '#schema/inference'

export type { CompletionBody }

/** `namespace/name`, or `namespace/name@<adapter id>` for one fixed version of it. */
export const parseModel = (model: string): { name: string; adapterId: string | undefined } => {
  const [name = '', pinned] = model.split('@')
  if (!AdapterName.safeParse(name).success || (pinned !== undefined && !/^[0-9a-f]{32}$/.test(pinned)))
    throw new OpenLedgerError('model-not-found', `There is no model ${model}: GET /v1/models lists the names.`, {
      param: 'model',
    })
  return { name, adapterId: pinned }
}

/** The first refusal of a body, by field; the body is read by the schema of the path it came in by. */
export const parseBody = (path: string, body: unknown): CompletionBody => {
  const parsed = (path.endsWith('/chat/completions') ? ChatCompletionRequest : CompletionRequest).safeParse(body)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0] as z.core.$ZodIssue
  const param = issue.path.join('.') || 'body'
  throw new OpenLedgerError('invalid-request', `${param}: ${issue.message}`, { param })
}

/**
 * Most tokens that the request can cost. A byte-level tokenizer makes at most one token of a byte; the chat template
 * adds a few dozen around each message.
 */
export const worstCase = (body: CompletionBody, modelLimit: number): { prompt: number; completion: number } => {
  const asked =
    ('max_completion_tokens' in body ? body.max_completion_tokens : undefined) ?? body.max_tokens ?? modelLimit
  const prompt =
    'messages' in body && Array.isArray(body.messages)
      ? messageBytes(body.messages)
      : Buffer.byteLength([(body as { prompt?: unknown }).prompt].flat().join(''))
  return {
    prompt: Math.min(prompt + 64, modelLimit),
    completion: Math.min(Number(asked), modelLimit) * Number(body.n ?? 1),
  }
}

const messageBytes = (messages: { content?: unknown }[]): number =>
  messages.reduce(
    (sum, { content }) =>
      sum + 64 + Buffer.byteLength(typeof content === 'string' ? content : JSON.stringify(content ?? '')),
    0,
  )

/**
 * What the serving image is asked: the caller's own parameters, the adapter's id as the model, and a transcript. A stream
 * tells the tokens so far in every chunk (vLLM's continuous_usage_stats): an answer that breaks off is charged by them.
 */
export const servingBody = (body: CompletionBody, adapterId: string): string =>
  JSON.stringify({
    ...body,
    model: adapterId,
    openledger: { transcript: true },
    ...(body.stream ? { stream_options: { include_usage: true, continuous_usage_stats: true } } : {}),
  })

/** With an Idempotency-Key the same request of the same account is always the same receipt. */
export const receiptIdFor = (accountId: string, idempotencyKey: string): string =>
  `rcp_${createHash('sha256').update(`${accountId}|${idempotencyKey}`).digest('hex').slice(0, 24)}`

export const salted = (salt: string, text: string): string =>
  createHash('sha256').update(salt).update(text).digest('hex')
