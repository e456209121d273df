import type { Attribution, Billing, Transcript } from '#schema/receipt'
import { attribute, type InfluenceAnswer, type SearchedShard } from './evidence.ts'
import { TRAINING_ATTRIBUTION } from './training-receipt.ts'

export interface AttributionPorts {
  billing(receiptId: string): Promise<{ billing: Billing; done: boolean }>
  transcript(receiptId: string): Promise<Transcript | undefined>
  /** Spans of the outputs in every provenance shard of the versions. */
  search(
    versions: readonly { id: string; version: number }[],
    outputs: readonly string[],
    minLength: number,
  ): Promise<{ shards: SearchedShard[]; missing: string[] }>
  unigram(baseId: string): Promise<Uint32Array>
  influence(
    adapterId: string,
    baseId: string,
    transcripts: readonly Transcript[],
  ): Promise<Map<string, InfluenceAnswer>>
  complete(receiptId: string, attribution: Attribution): Promise<void>
}

/**
 * Attributes a batch of receipts, adapter by adapter, so that shards and influence stores are loaded once a batch.
 * Returns the receipts that failed; they stay pending and come again. A receipt is completed once, whoever comes first.
 */
export const attributeReceipts = async (
  ports: AttributionPorts,
  receiptIds: readonly string[],
  onFailure: (receiptIds: string[], error: unknown) => void,
): Promise<string[]> => {
  const failed: string[] = []
  for (const work of (await pendingByAdapter(ports, receiptIds)).values()) {
    try {
      const trainings = work.filter(({ billing }) => billing.training)
      for (const { billing } of trainings) await ports.complete(billing.receiptId, TRAINING_ATTRIBUTION)
      const answers = work.filter(({ billing }) => !billing.training)
      if (answers.length > 0) await attributeAdapter(ports, answers)
    } catch (error) {
      const ids = work.map(({ billing }) => billing.receiptId)
      onFailure(ids, error)
      failed.push(...ids)
    }
  }
  return failed
}

interface Work {
  billing: Billing
  transcript: Transcript | undefined
}

const pendingByAdapter = async (
  ports: AttributionPorts,
  receiptIds: readonly string[],
): Promise<Map<string, Work[]>> => {
  const work = new Map<string, Work[]>()
  for (const receiptId of new Set(receiptIds)) {
    const { billing, done } = await ports.billing(receiptId)
    if (done) continue
    const list = work.get(billing.adapterId) ?? []
    list.push({ billing, transcript: billing.training ? undefined : await ports.transcript(receiptId) })
    work.set(billing.adapterId, list)
  }
  return work
}

const attributeAdapter = async (ports: AttributionPorts, work: Work[]): Promise<void> => {
  const { billing: first } = work[0]!
  const outputs = new Set(
    work.flatMap(({ transcript }) => transcript?.choices.map((choice) => choice.outputText) ?? []),
  )
  const shortest = Math.min(...first.datanets.map(({ policy }) => policy.minSpanBytes))
  const [found, unigram] = await Promise.all([
    ports.search(first.datanets, [...outputs], shortest),
    ports.unigram(first.baseId),
  ])
  const asked = work.flatMap(({ billing, transcript }) =>
    billing.attribution === 'full' && transcript && transcript.choices.length > 0 ? [transcript] : [],
  )
  const influence =
    asked.length > 0 ? await ports.influence(first.adapterId, first.baseId, asked) : new Map<string, InfluenceAnswer>()
  for (const { billing, transcript } of work)
    await ports.complete(
      billing.receiptId,
      attribute(billing, transcript, found, unigram, influence.get(billing.receiptId) ?? null),
    )
}
