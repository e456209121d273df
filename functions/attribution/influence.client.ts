import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime'
import * as z from 'zod'
import type { Transcript } from '#schema/receipt'
import type { InfluenceAnswer } from './evidence.ts'

const client = new SageMakerRuntimeClient({ maxAttempts: 2 })

const Scored = z.looseObject({
  id: z.string(),
  rows: z.array(z.tuple([z.string(), z.number().int()])),
  gated: z.boolean().optional(),
})
const Refused = z.looseObject({ id: z.string(), error: z.looseObject({ code: z.string(), message: z.string() }) })
const Reply = z.looseObject({
  adapter: z.string(),
  store_digest: z.string(),
  /** Rows of the store with extreme self-influence. */
  quarantined: z.array(z.string()).default([]),
  scores: z.array(z.union([Scored, Refused])),
})

/**
 * Influence of the training rows on outputs of one adapter: one answer a choice, summed per row. A refused output is
 * told with its code; a fault of the endpoint throws, so that the receipt stays pending and is tried again.
 */
export const askInfluence = async (
  endpoint: string,
  adapterId: string,
  storeDigest: string,
  transcripts: readonly Transcript[],
): Promise<Map<string, InfluenceAnswer>> => {
  const outputs = transcripts.flatMap((transcript) =>
    transcript.choices.map((choice, i) => ({
      id: `${transcript.receiptId}.${i}`,
      prompt_tokens: choice.promptTokens,
      output_tokens: choice.outputTokens.map(({ id }) => id),
    })),
  )
  if (outputs.length === 0) return new Map()
  const { Body } = await client.send(
    new InvokeEndpointCommand({
      EndpointName: endpoint,
      ContentType: 'application/json',
      Body: JSON.stringify({ adapter: adapterId, outputs, method: 'ekfac' }),
    }),
  )
  const reply = Reply.parse(JSON.parse(Buffer.from(Body!).toString('utf8')))
  const byOutput = new Map(reply.scores.map((score) => [score.id, score]))
  return new Map(
    transcripts.map((transcript) => [transcript.receiptId, answerOf(transcript, byOutput, reply, storeDigest)]),
  )
}

const answerOf = (
  transcript: Transcript,
  byOutput: Map<string, z.output<typeof Scored> | z.output<typeof Refused>>,
  { store_digest: replied, quarantined }: z.output<typeof Reply>,
  expected: string,
): InfluenceAnswer => {
  if (replied !== expected) return { failed: 'the influence store is not the one of this adapter' }
  const sums = new Map<string, number>()
  for (const [i] of transcript.choices.entries()) {
    const score = byOutput.get(`${transcript.receiptId}.${i}`)
    if (!score) return { failed: 'no answer' }
    if ('error' in score) return { failed: (score as z.output<typeof Refused>).error.code }
    for (const [row, value] of (score as z.output<typeof Scored>).rows) sums.set(row, (sums.get(row) ?? 0) + value)
  }
  return { storeDigest: replied, rows: [...sums].sort(([a], [b]) => (a < b ? -1 : 1)), quarantined }
}
