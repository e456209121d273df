import { findRepresentatives } from '../../../functions/datanets/clusters/find-representatives.ts'
import { PERMUTATIONS, signatureOf } from '../../../functions/datanets/clusters/minhash.ts'
import { normaliseText } from '../../../functions/datanets/clusters/normalise-text.ts'

/** One registered text. Rows of a batch (one upload) make one Datanet version, in the order in which they stand. */
export interface LabRow {
  contributor: string
  text: string
  batch: number
}

/** One paid answer. */
export interface LabAnswer {
  payer: string
  /** Accounts linked to the payer at the debit. */
  linked?: string[]
  prompt: string
  output: string
  /** Net fee, units of 1e-18 OPEN. */
  net: bigint
}

export interface World {
  rows: LabRow[]
  answers: LabAnswer[]
  policy?: Partial<{ maxClusters: number; capPerClusterBps: number; treasury: string; oneVersion: boolean }>
}

/** Rows that represent themselves, by the ingestion's own rule: the others are neither trained on nor paid. */
export const representatives = async (rows: readonly LabRow[]): Promise<number[]> => {
  const texts = rows.map(({ text }) => normaliseText(text))
  const signatures = new Uint32Array(rows.length * PERMUTATIONS)
  texts.forEach((text, i) => {
    signatures.set(signatureOf(text), i * PERMUTATIONS)
  })
  const kept: number[] = []
  let row = 0
  for await (const { code } of findRepresentatives({
    count: rows.length,
    signatures,
    text: (i) => texts[i]!,
    earlier: () => [],
  })) {
    if (code === 'representative') kept.push(row)
    row++
  }
  return kept
}

export type Pay = Map<string, number>
/** What each contributor (and the treasury) gets of the contributors' pools, as a fraction of all fees. */
export const share = (pay: Pay, who: readonly string[]): number =>
  who.reduce((sum, name) => sum + (pay.get(name) ?? 0), 0)
