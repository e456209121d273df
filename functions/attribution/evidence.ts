import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Attribution, Billing, ProvenanceSpan, Transcript } from '#schema/receipt'
import { type Answer, attributeReceipt } from './payout/attribute-receipt.ts'
import { promptEcho } from './payout/prompt-echo.ts'
import type { Credit } from './payout/token-credit.ts'
import { type ProvenanceSpan as IndexSpan, mergeSpans, toTokens, toUtf16 } from './provenance/index.ts'
import type { ShelfRow } from './row-table.ts'

/** One provenance shard as a batch asked it, with what its rows mean. */
export interface SearchedShard {
  key: string
  /** sha256 of the index as it was published. */
  digest: string
  datanetId: string
  /** The part that the shard is of. */
  contribution: string
  rows: { get(id: string): ShelfRow | undefined }
  /** Highest registry sequence of the Datanet version that first held these rows. */
  versionEnd: number
  /** Spans by the text of the output; an output that the shard cannot hold is left out. */
  spans: ReadonlyMap<string, readonly IndexSpan[]>
}
/** Signed influence per row, units of 2^-20, or why there is none. */
export type InfluenceAnswer =
  | { storeDigest: string; rows: readonly (readonly [string, number])[]; quarantined: readonly string[] }
  | { failed: string }
  | null

const SHOWN_OWNERS = 8
const RULE = 'openledger-payout-1'

/**
 * Transcript, shards and influence -> the attribution that completes the receipt. Pure: the same evidence gives the
 * same bytes. The rule gets the maximal spans of every contribution, however large ones are sharded, those inside another
 * contribution's longer one included; the receipt shows the maximal ones of all.
 */
export const attribute = (
  billing: Billing,
  transcript: Transcript | undefined,
  found: { shards: readonly SearchedShard[]; missing: readonly string[] },
  unigram: Uint32Array,
  answered: InfluenceAnswer,
): Attribution => {
  const parts = [...Map.groupBy(found.shards, ({ contribution }) => contribution).values()]
  const choices = (transcript?.choices ?? []).map((choice) => {
    const output = Buffer.from(choice.outputText)
    const perPart = parts.map((shards) => mergeAll(shards.map(({ spans }) => spans.get(choice.outputText) ?? [])))
    const answer: Answer = {
      prompt: Buffer.from(choice.promptText),
      output,
      tokens: choice.outputTokens,
      spans: perPart.flatMap((spans, i) => {
        const rows = rowBook(parts[i]!)
        return spans.map(({ start, end, owners }) => ({ start, end, holders: owners.map((id) => rows(id)!) }))
      }),
    }
    return { answer, merged: mergeAll(perPart) }
  })
  const rows = rowBook(found.shards)
  const influence = found.missing.length > 0 ? wholeOrFailed(answered, rows) : answered
  const scored = influence && 'rows' in influence ? influence : null
  const missing = [
    ...found.missing,
    ...(transcript ? [] : ['transcript']),
    ...(influence && 'failed' in influence ? [`influence: ${influence.failed}`] : []),
  ]
  const result = attributeReceipt({
    net: BigInt(billing.net),
    split: billing.split,
    datanets: billing.datanets.map(({ id, policy }) => ({ id, ...policy })),
    unigram,
    answers: choices.map(({ answer }) => answer),
    influence: scored && {
      confidence: BigInt(billing.confidence),
      scores: scored.rows.flatMap(([id, score]) => {
        const row = rows(id)
        return row ? [{ ...creditOf(row), score: BigInt(score) }] : []
      }),
    },
    excluded: new Set([billing.payer, ...billing.linkedToPayer]),
    inManifest: ({ cluster }) => rows(cluster) !== undefined,
    quarantined: new Set((scored?.quarantined ?? []).flatMap((row) => rows(row)?.cluster ?? [])),
  })
  const amounts = Object.fromEntries(
    Object.entries(result.pools).map(([name, amount]) => [name, String(amount)]),
  ) as Attribution['pools']
  return {
    status: statusOf(billing, transcript, missing, scored !== null),
    methodDigest: methodDigest(billing, found.shards, scored?.storeDigest ?? null),
    missing,
    spans: choices.flatMap(({ answer, merged }, choice) => shownSpans(answer, merged, rows, billing, choice)),
    totalBits: String(result.totalBits),
    provenance: result.provenance.map(({ bits, ...credit }) => ({ ...pick(credit), bits: String(bits) })),
    influence: result.influence.map(({ score, ...credit }) => ({ ...pick(credit), score: String(score) })),
    pools: amounts,
    shares: result.shares.map(({ payee, amount }) => ({ payee, amount: String(amount) })),
    unattributed: String(result.unattributed),
  }
}

interface BookedRow extends ShelfRow {
  datanetId: string
  versionEnd: number
}
type RowBook = (id: string) => BookedRow | undefined
/** Finds a row in whichever shard holds it; nothing is copied, as shards have many rows and a receipt names few. */
const rowBook =
  (shards: readonly SearchedShard[]): RowBook =>
  (id) => {
    for (const { rows, datanetId, versionEnd } of shards) {
      const row = rows.get(id)
      if (row) return { ...row, datanetId, versionEnd }
    }
    return undefined
  }

/** Where shards are missing, a row that nobody can look up may be anybody's: the others do not get its part. */
const wholeOrFailed = (influence: InfluenceAnswer, rows: RowBook): InfluenceAnswer =>
  influence && 'rows' in influence && influence.rows.some(([id]) => !rows(id))
    ? { failed: 'rows of what is missing' }
    : influence

const creditOf = ({ datanetId, cluster, contributor }: BookedRow): Credit => ({ datanetId, cluster, contributor })
const pick = ({ datanetId, cluster, contributor, quarantined }: Credit): Credit => ({
  datanetId,
  cluster,
  contributor,
  ...(quarantined ? { quarantined } : {}),
})

const mergeAll = (answers: readonly (readonly IndexSpan[])[]) => mergeSpans(answers, Number.MAX_SAFE_INTEGER)

/** Maximal spans as the receipt shows them: offsets a page can highlight, the earliest owners, and why one pays nobody. */
const shownSpans = (
  answer: Answer,
  merged: readonly IndexSpan[],
  rows: RowBook,
  billing: Billing,
  choice: number,
): ProvenanceSpan[] => {
  const chars = toUtf16(answer.output, merged)
  const tokens = toTokens(
    answer.tokens.map(({ bytes }) => bytes),
    merged,
  )
  const echoes = promptEcho(
    answer.output,
    answer.prompt,
    Math.min(...billing.datanets.map(({ policy }) => policy.minSpanBytes)),
  )
  const policies = new Map(billing.datanets.map(({ id, policy }) => [id, policy]))
  return merged.map((span, i) => {
    const owners = span.owners.map((id) => ({ row: id, ...rows(id)! })).sort((a, b) => a.sequence - b.sequence)
    // As the payout rule counts: from the earliest to whom the span is evidence, and up to the end of its version.
    const holders = owners.filter(({ datanetId }) => span.end - span.start >= policies.get(datanetId)!.minSpanBytes)
    const [first] = holders
    const inTime = holders.filter(({ sequence }) => sequence <= first!.versionEnd)
    return {
      start: span.start,
      end: span.end,
      startChar: chars[i]!.start,
      endChar: chars[i]!.end,
      startToken: tokens[i]!.start,
      endToken: tokens[i]!.end,
      owners: owners.slice(0, SHOWN_OWNERS).map(({ versionEnd: _, ...owner }) => owner),
      ownerCount: span.ownerCount,
      clusterCount: clustersOf(owners),
      common: first !== undefined && clustersOf(inTime) > policies.get(first.datanetId)!.maxClusters,
      inPrompt: echoes.some((echo) => echo.start <= span.start && span.end <= echo.end),
      ...(choice > 0 ? { choice } : {}),
    }
  })
}

const clustersOf = (rows: readonly BookedRow[]): number => new Set(rows.map(({ cluster }) => cluster)).size

const statusOf = (
  billing: Billing,
  transcript: Transcript | undefined,
  missing: readonly string[],
  scored: boolean,
): Attribution['status'] => {
  if (!transcript) return 'unattributed'
  if (missing.length > 0) return 'incomplete'
  return billing.attribution === 'full' && scored ? 'full' : 'provenance-only'
}

/** What was run, on what: rule, parameters, the index of every shard and the influence store. */
const methodDigest = (billing: Billing, shards: readonly SearchedShard[], storeDigest: string | null): string =>
  createHash('sha256')
    .update(
      canonicalize({
        rule: RULE,
        attribution: billing.attribution,
        policies: billing.datanets.map(({ policy }) => policy),
        shards: shards.map(({ digest }) => digest),
        store: storeDigest,
      })!,
    )
    .digest('hex')
