import { createHash } from 'node:crypto'
import * as z from 'zod'
import type { Transcript } from '#schema/receipt'
import type { InfluenceAnswer } from './evidence.ts'

/**
 * A piece that an endpoint answers within SageMaker's hour: forward and backward at four checkpoints are some
 * 24 x parameters floating-point operations a token, so 200,000 tokens of a 7 B model take about 20 minutes on 30 TFLOP/s.
 * Small enough that early receipts need not wait for the whole batch; the image takes 512 outputs and 25 MiB.
 * A receipt with more goes alone.
 */
export const MAX_OUTPUTS = 128
export const MAX_TOKENS = 200_000

export interface ScoringRequest {
  /** From the receipts asked for: the same receipts asked again are the same request. */
  id: string
  body: string
  receiptIds: string[]
}

/** Requests to the influence endpoint of one adapter; the choices of a receipt stay together. */
export const scoringRequests = (adapterId: string, transcripts: readonly Transcript[]): ScoringRequest[] => {
  const batches: Transcript[][] = []
  let room = { outputs: 0, tokens: 0 }
  for (const transcript of [...transcripts].sort((a, b) => (a.receiptId < b.receiptId ? -1 : 1))) {
    const { choices } = transcript
    const tokens = choices.reduce((sum, one) => sum + one.promptTokens.length + one.outputTokens.length, 0)
    if (batches.length === 0 || choices.length > room.outputs || tokens > room.tokens) {
      batches.push([])
      room = { outputs: MAX_OUTPUTS, tokens: MAX_TOKENS }
    }
    batches.at(-1)!.push(transcript)
    room = { outputs: room.outputs - choices.length, tokens: room.tokens - tokens }
  }
  return batches.map((batch) => ({
    id: createHash('sha256')
      .update([adapterId, ...batch.map(({ receiptId }) => receiptId)].join('\n'))
      .digest('hex')
      .slice(0, 32),
    receiptIds: batch.map(({ receiptId }) => receiptId),
    body: JSON.stringify({
      adapter: adapterId,
      method: 'ekfac',
      outputs: batch.flatMap(({ receiptId, choices }) =>
        choices.flatMap(({ promptTokens, outputTokens }, i) =>
          // A choice that a broken answer never began: the image would refuse it.
          outputTokens.length > 0
            ? { id: `${receiptId}.${i}`, prompt_tokens: promptTokens, output_tokens: outputTokens.map(({ id }) => id) }
            : [],
        ),
      ),
    }),
  }))
}

const Score = z.union([
  z.looseObject({ id: z.string(), rows: z.array(z.tuple([z.string(), z.number().int()])) }),
  z.looseObject({ id: z.string(), error: z.looseObject({ code: z.string() }) }),
])
/** What the endpoint leaves in S3. */
export const ScoringReply = z.looseObject({
  adapter: z.string(),
  store_digest: z.string(),
  /** Rows of the store with extreme self-influence. */
  quarantined: z.array(z.string()).default([]),
  scores: z.array(Score),
})
export type ScoringReply = z.output<typeof ScoringReply>

export const receiptsOf = (reply: ScoringReply): string[] => [
  ...new Set(reply.scores.map(({ id }) => id.slice(0, id.lastIndexOf('.')))),
]

/**
 * Influence on one receipt: the scores of its choices, summed per row. A store that is not the adapter's, an output that
 * the image refused and a missing choice are told as reasons; nothing is paid by what is left.
 */
export const influenceOn = (transcript: Transcript, reply: ScoringReply, storeDigest: string): InfluenceAnswer => {
  if (reply.adapter !== transcript.adapterId) return { failed: 'the scores are of another adapter' }
  if (reply.store_digest !== storeDigest) return { failed: 'the influence store is not the one of this adapter' }
  const scores = new Map(reply.scores.map((score) => [score.id, score]))
  const sums = new Map<string, number>()
  for (const [i, { outputTokens }] of transcript.choices.entries()) {
    if (outputTokens.length === 0) continue
    const score = scores.get(`${transcript.receiptId}.${i}`)
    if (!score) return { failed: 'no answer' }
    if ('error' in score) return { failed: (score.error as { code: string }).code }
    for (const [row, value] of score.rows as [string, number][]) sums.set(row, (sums.get(row) ?? 0) + value)
  }
  return {
    storeDigest,
    rows: [...sums].sort(([a], [b]) => (a < b ? -1 : 1)),
    quarantined: reply.quarantined,
  }
}
