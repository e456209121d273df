import { once } from 'node:events'
import { mergeSpans, type ProvenanceIndex } from '../../../functions/attribution/provenance/index.ts'
import { linesOf, parseLine } from './lines.ts'

const LONGEST_QUERY = 1 << 20

type Query = { id: string; text: Buffer } | { id: string | null; error: string }

/** Answers each line of `input` as soon as it is read, in order. */
export async function answerQueries(
  input: AsyncIterable<Buffer>,
  output: NodeJS.WriteStream,
  answer: (query: Buffer) => object,
): Promise<void> {
  let answered = 0
  const print = async (value: object) => {
    for (const piece of lineOf(value)) if (!output.write(piece)) await once(output, 'drain')
  }
  for await (const line of linesOf(input)) {
    answered++
    const query = parseQuery(line)
    await print('error' in query ? query : { id: query.id, ...answer(query.text) })
  }
  if (answered === 0) await print({ queries: 0 })
}

const PIECE = 1 << 20

/** A line of JSON in pieces: the spans of one answer may be longer together than a string may be. */
export function* lineOf(value: object): Generator<string> {
  const { id, spans, ...rest } = value as { id?: string | null; spans?: readonly object[] }
  if (!spans) {
    yield `${JSON.stringify(value)}\n`
    return
  }
  let piece = `${JSON.stringify({ id }).slice(0, -1)},"spans":[`
  for (const [i, span] of spans.entries()) {
    piece += `${i > 0 ? ',' : ''}${JSON.stringify(span)}`
    if (piece.length < PIECE) continue
    yield piece
    piece = ''
  }
  yield `${piece}],${JSON.stringify(rest).slice(1)}\n`
}

export function spansOf(shards: readonly ProvenanceIndex[], minLength: number, maxOwners: number) {
  return (query: Buffer): object => {
    const started = performance.now()
    const answers = shards.map((shard) => shard.spans(query, { minLength, maxOwners }))
    const spans = mergeSpans(answers, maxOwners)
    return { spans, ms: performance.now() - started }
  }
}

export function countOf(shards: readonly ProvenanceIndex[]) {
  return (pattern: Buffer): object => {
    if (pattern.length === 0) return { error: 'text: the empty pattern occurs everywhere' }
    return { count: shards.reduce((sum, shard) => sum + shard.count(pattern), 0) }
  }
}

function parseQuery(line: Buffer): Query {
  const parsed = parseLine(line)
  if ('reason' in parsed) return { id: null, error: parsed.reason }
  const { id, text } = (parsed.value ?? {}) as { id?: unknown; text?: unknown }
  if (typeof id !== 'string') return { id: null, error: 'id: must be a string' }
  if (typeof text !== 'string') return { id, error: 'text: must be a string' }
  if (!text.isWellFormed()) return { id, error: 'text: holds half of a surrogate pair' }
  const bytes = Buffer.from(text)
  return bytes.length > LONGEST_QUERY ? { id, error: 'text: longer than 1 MB' } : { id, text: bytes }
}
