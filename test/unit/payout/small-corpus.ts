/** Tiny corpora on a tiny alphabet: every coincidence that a large corpus has, often. Spans come from brute force. */
import fc from 'fast-check'
import type { DatanetRules, ReceiptEvidence } from '../../../functions/attribution/payout/attribute-receipt.ts'
import type { HeldSpan, Holder } from '../../../functions/attribution/payout/token-credit.ts'

export interface Doc extends Holder {
  text: Uint8Array
}

export const LAW: DatanetRules = {
  id: 'law',
  minSpanBytes: 4,
  maxClusters: 2,
  capPerClusterBps: 10_000,
  capBitsPerToken: 16,
}

/** Documents in order of registration; `versionEnd` closes a version after every `perVersion` of them. */
export const docs = (texts: readonly Uint8Array[], perVersion = 1, from = 0): Doc[] =>
  texts.map((text, i) => ({
    text,
    datanetId: 'law',
    cluster: `c${from + i}`,
    contributor: `p${(from + i) % 5}`,
    sequence: from + i,
    versionEnd: from + (Math.floor(i / perVersion) + 1) * perVersion - 1,
  }))

export const bytes = (size: { minLength: number; maxLength: number }) =>
  fc.array(fc.constantFrom(97, 98, 99), size).map((codes) => Uint8Array.from(codes))

/** Every maximal stretch of the output that stands in each document by itself, so nested ones over documents stay. */
export const bruteSpans = (output: Uint8Array, corpus: readonly Doc[], minBytes: number): HeldSpan[] => {
  const found = new Map<string, HeldSpan & { holders: Holder[] }>()
  const hay = corpus.map(({ text }) => Buffer.from(text).toString('latin1'))
  const out = Buffer.from(output).toString('latin1')
  corpus.forEach((doc, d) => {
    let reached = 0
    for (let start = 0; start < out.length; start++) {
      let end = start
      while (end < out.length && hay[d]!.includes(out.slice(start, end + 1))) end++
      if (end - start < minBytes || end <= reached) continue
      reached = end
      const key = `${start} ${end}`
      const span = found.get(key) ?? { start, end, holders: [] }
      found.set(key, span)
      const { text: _, ...holder } = doc
      span.holders.push(holder)
    }
  })
  return [...found.values()]
}

/** A receipt's evidence over an output of one-byte tokens worth 1 bit x (1 + byte % 3) each. */
export const evidenceOf = (
  output: Uint8Array,
  corpus: readonly Doc[],
  change: Partial<ReceiptEvidence> = {},
): ReceiptEvidence => ({
  net: 1_000_000n,
  split: { ownerBps: 2000, stakersBps: 0, contributorsBps: 8000 },
  datanets: [LAW],
  unigram: Uint32Array.from({ length: 128 }, (_, id) => (1 + (id % 3)) << 16),
  answers: [
    {
      prompt: new Uint8Array(),
      output,
      tokens: [...output].map((id) => ({ id, bytes: 1 })),
      spans: bruteSpans(output, corpus, LAW.minSpanBytes),
    },
  ],
  influence: null,
  excluded: new Set(),
  inManifest: () => true,
  ...change,
})

export const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]))
