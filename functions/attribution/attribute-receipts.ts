import type { Attribution, Billing, Scoring, Transcript } from '#schema/receipt'
import { attribute, type InfluenceAnswer, type SearchedShard } from './evidence.ts'
import { influenceOn, receiptsOf, type ScoringReply } from './scoring.ts'
import type { Searched } from './search-shards.ts'
import { TRAINING_ATTRIBUTION } from './training-receipt.ts'

export interface AttributionPorts {
  billing(receiptId: string): Promise<{ billing: Billing; done: boolean }>
  transcript(receiptId: string): Promise<Transcript | undefined>
  /** Spans of the outputs in every provenance shard of the versions. */
  search(
    versions: readonly Searched[],
    outputs: readonly string[],
    minLength: number,
  ): Promise<{ shards: SearchedShard[]; missing: string[] }>
  unigram(baseId: string): Promise<Uint32Array>
  /** Digest of the adapter's influence store, null when it has none. */
  storeDigest(adapterId: string): Promise<string | null>
  /** How the scoring of a receipt stands; undefined when it was never asked for. */
  scoring(receiptId: string): Promise<Scoring | undefined>
  /** Asks for scores and notes that; they come later, as an event that `attributeScored` takes, or `takeFailure`. */
  ask(adapterId: string, baseId: string, transcripts: readonly Transcript[]): Promise<void>
  complete(receiptId: string, attribution: Attribution): Promise<void>
  now(): Date
  /** A receipt without scores after this long is completed without influence. */
  giveUpMs: number
}

/** One receipt that cannot be read or attributed does not hold up the others of its batch. */
type Fail = (receiptIds: string[], error: unknown) => void

interface Work {
  billing: Billing
  transcript: Transcript | undefined
}

/**
 * Attributes a batch of receipts, adapter by adapter, so that shards are loaded once a batch. Receipts that need
 * influence are asked for, unless an answer is due, and stay pending until their scores have come.
 * Returns the receipts that failed; they stay pending and come again. A receipt is completed once, whoever comes first.
 */
export const attributeReceipts = async (
  ports: AttributionPorts,
  receiptIds: readonly string[],
  onFailure: (receiptIds: string[], error: unknown) => void,
): Promise<string[]> => {
  const failed: string[] = []
  const fail: Fail = (ids, error) => {
    onFailure(ids, error)
    failed.push(...ids)
  }
  for (const work of Map.groupBy(await pending(ports, receiptIds, fail), ({ billing }) => billing.adapterId).values()) {
    try {
      const trainings = work.filter(({ billing }) => billing.training)
      for (const { billing } of trainings) await ports.complete(billing.receiptId, TRAINING_ATTRIBUTION)
      const answers = work.filter(({ billing }) => !billing.training)
      if (answers.length > 0) await attributeAdapter(ports, answers, fail)
    } catch (error) {
      fail(
        work.map(({ billing }) => billing.receiptId),
        error,
      )
    }
  }
  return failed
}

/** Completes the receipts whose scores have come. Throws when one of them could not be: the event then comes again. */
export const attributeScored = async (ports: AttributionPorts, reply: ScoringReply): Promise<void> => {
  const failures: unknown[] = []
  const fail: Fail = (_, error) => failures.push(error)
  const work = (await pending(ports, receiptsOf(reply), fail)).filter(
    ({ billing }) => billing.adapterId === reply.adapter,
  )
  if (work.length > 0) {
    const digest = await ports.storeDigest(reply.adapter)
    const influence = ({ transcript }: Work) => (transcript && digest ? influenceOn(transcript, reply, digest) : null)
    await completeAll(ports, work, influence, fail)
  }
  if (failures.length > 0) throw failures[0]
}

/** Receipts and transcripts read at once: two small reads each, and a batch has up to 500. */
const READ_AT_ONCE = 16

const pending = async (ports: AttributionPorts, receiptIds: readonly string[], fail: Fail): Promise<Work[]> => {
  const read = async (receiptId: string): Promise<Work[]> => {
    try {
      const { billing, done } = await ports.billing(receiptId)
      return done ? [] : [{ billing, transcript: billing.training ? undefined : await ports.transcript(receiptId) }]
    } catch (error) {
      fail([receiptId], error)
      return []
    }
  }
  const ids = [...new Set(receiptIds)]
  const work: Work[] = []
  for (let i = 0; i < ids.length; i += READ_AT_ONCE)
    work.push(...(await Promise.all(ids.slice(i, i + READ_AT_ONCE).map(read))).flat())
  return work
}

const attributeAdapter = async (ports: AttributionPorts, work: Work[], fail: Fail): Promise<void> => {
  const { adapterId, baseId } = work[0]!.billing
  const full = work.filter(
    ({ billing, transcript }) => billing.attribution === 'full' && transcript?.choices.some(wasBegun),
  )
  const scored = full.length > 0 && (await ports.storeDigest(adapterId)) !== null ? new Set(full) : new Set<Work>()
  const now = ports.now().getTime()
  const due: Transcript[] = []
  const late = new Map<Work, string>()
  for (const one of scored) {
    const scoring = await ports.scoring(one.billing.receiptId)
    if (now - Date.parse(one.billing.createdAt) > ports.giveUpMs) late.set(one, gaveUp(ports.giveUpMs, scoring))
    else if (!scoring || Date.parse(scoring.nextAt) <= now) due.push(one.transcript!)
  }
  // An endpoint that is away must hold up nobody who needs nothing of it any more.
  await completeAll(
    ports,
    work.filter((one) => !scored.has(one) || late.has(one)),
    (one) => (late.has(one) ? { failed: late.get(one)! } : null),
    fail,
  )
  if (due.length > 0) await ports.ask(adapterId, baseId, due)
}

const wasBegun = ({ outputTokens }: Transcript['choices'][0]) => outputTokens.length > 0

const gaveUp = (ms: number, scoring: Scoring | undefined): string =>
  `no scores within ${Math.round(ms / 3_600_000)} hours${scoring?.failure ? ` (${scoring.failure})` : ''}`

/** All of one adapter. */
const completeAll = async (
  ports: AttributionPorts,
  work: readonly Work[],
  influence: (one: Work) => InfluenceAnswer,
  fail: Fail,
): Promise<void> => {
  if (work.length === 0) return
  const { billing: first } = work[0]!
  const outputs = new Set(
    work.flatMap(({ transcript }) => transcript?.choices.map((choice) => choice.outputText) ?? []),
  )
  const shortest = Math.min(...first.datanets.map(({ policy }) => policy.minSpanBytes))
  const [found, unigram] = await Promise.all([
    ports.search(first.datanets, [...outputs], shortest),
    ports.unigram(first.baseId),
  ])
  for (const one of work) {
    const { receiptId } = one.billing
    try {
      await ports.complete(receiptId, attribute(one.billing, one.transcript, found, unigram, influence(one)))
    } catch (error) {
      fail([receiptId], error)
    }
  }
}
