import type { Billing, DocumentSpan, Transcript } from '#schema/receipt'
import { buildIndex, openIndex, toTokens, toUtf16 } from './provenance/index.ts'

/** Named per span: what 20,000 passages of one text hold would not fit into an answer of the API. */
const NAMED_DOCUMENTS = 16

/**
 * Which stretches of the answer stand verbatim in the documents that the request brought (RAG), found by the same engine and
 * with the same shortest span as those of the Datanets. It is worked out from the transcript when it is read, and so is gone
 * when that is erased; nothing is paid for it, as documents have no registered contributor.
 */
export const documentSpans = (
  { datanets }: Pick<Billing, 'datanets'>,
  { choices, documents = [] }: Pick<Transcript, 'choices' | 'documents'>,
): DocumentSpan[] => {
  const minLength = Math.min(...datanets.map(({ policy }) => policy.minSpanBytes))
  const index = openIndex(buildIndex(documents))
  return choices.flatMap(({ outputText, outputTokens }, choice) => {
    const output = Buffer.from(outputText)
    const spans = index.spans(output, { minLength, maxOwners: NAMED_DOCUMENTS })
    const chars = toUtf16(output, spans)
    const tokens = toTokens(
      outputTokens.map(({ bytes }) => bytes),
      spans,
    )
    return spans.map(({ start, end, owners, ownerCount }, i) => ({
      start,
      end,
      startChar: chars[i]!.start,
      endChar: chars[i]!.end,
      startToken: tokens[i]!.start,
      endToken: tokens[i]!.end,
      documents: owners,
      documentCount: ownerCount,
      ...(choice > 0 ? { choice } : {}),
    }))
  })
}
