/**
 * A second reading of attribution.md C, from texts to shares, by looking: no spans, no automaton, no scaling in place.
 * Where `attributeReceipt` goes by stretches that an index found, this asks the texts themselves.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ReceiptEvidence } from '../../../functions/attribution/payout/attribute-receipt.ts'
import { cutPools } from '../../../functions/attribution/payout/pools.ts'
import { property } from './property.ts'
import { bruteSpans, bytes, type Doc, docs, evidenceOf, type LAW } from './small-corpus.ts'

const UNIT = 1n << 20n
const SHARES = 'cluster-shares.ts'
const CREDIT = 'token-credit.ts'
const BPS = 10_000n
type Policy = typeof LAW
type Scored = { doc: Doc; score: bigint }
interface Case {
  corpus: Doc[]
  policies: [Policy, Policy]
  choices: { prompt: Uint8Array; output: Uint8Array; cuts: number[] }[]
  scores: Scored[] | null
  confidence: bigint
  net: bigint
  split: ReceiptEvidence['split']
  excluded: Set<string>
  outside: Set<string>
  quarantined: Set<string>
}

const text = (of: Uint8Array) => Buffer.from(of).toString('latin1')
const cutTokens = ({ output, cuts }: Case['choices'][0]) => {
  const tokens: { id: number; start: number; end: number }[] = []
  for (let at = 0, i = 0; at < output.length || i < cuts.length; i++) {
    const end = Math.min(output.length, at + (cuts[i] ?? 1))
    tokens.push({ id: (output[at] ?? 0) % 7, start: at, end })
    at = end
  }
  return tokens
}
const informationOf = (id: number, policies: readonly Policy[]) =>
  id === 6 ? 0 : Math.min(id * 3 * 65_536, ...policies.map(({ capBitsPerToken }) => capBitsPerToken * 65_536))

const stands = (whole: string, start: number, end: number, inside: string) => inside.includes(whole.slice(start, end))

/** The longest stretch of `output` over [start, end) that `held` holds, the first of equals; null under `least` bytes. */
const longestOver = (output: string, start: number, end: number, held: string, least: number) => {
  for (let length = output.length; length >= Math.max(least, end - start); length--)
    for (let from = Math.max(0, end - length); from <= Math.min(start, output.length - length); from++)
      if (stands(output, from, from + length, held)) return { from, to: from + length }
  return null
}

const read = (one: Case) => {
  const policyOf = (doc: Doc) => one.policies.find(({ id }) => id === doc.datanetId)!
  const rows = one.corpus.filter(({ cluster }) => !one.outside.has(cluster))
  const shortest = Math.min(...one.policies.map(({ minSpanBytes }) => minSpanBytes))
  const bits = new Map<Doc, bigint>()
  let total = 0n
  for (const choice of one.choices) {
    const output = text(choice.output)
    for (const { id, start, end } of cutTokens(choice)) {
      const worth = BigInt(informationOf(id, one.policies))
      total += worth
      if (start === end || longestOver(output, start, end, text(choice.prompt), shortest)) continue
      const over = (doc: Doc, from: number, to: number) =>
        longestOver(output, from, to, text(doc.text), policyOf(doc).minSpanBytes)
      const first = rows.filter((doc) => over(doc, start, end)).sort((a, b) => a.sequence - b.sequence)[0]
      if (!first) continue
      const { from, to } = over(first, start, end)!
      const holders = rows.filter((doc) => doc.sequence <= first.versionEnd && over(doc, from, to))
      if (holders.length > policyOf(first).maxClusters) continue
      bits.set(first, (bits.get(first) ?? 0n) + worth)
    }
  }
  const sum = (values: Iterable<bigint>) => [...values].reduce((a, b) => a + b, 0n)
  const part = (bps: number) => (one.net * BigInt(bps)) / BPS
  const contributors = part(one.split.contributorsBps)
  const covered = sum(bits.values())
  const provenance = total === 0n ? 0n : (contributors * covered) / total
  const influence = total === 0n || !one.scores ? 0n : ((contributors - provenance) * one.confidence) / UNIT
  const [owner, stakers] = [part(one.split.ownerBps), part(one.split.stakersBps)]
  const pool = one.net - owner - stakers
  const scores = (one.scores ?? []).filter(({ doc, score }) => rows.includes(doc) && score !== 0n)
  const up = sum(scores.map(({ score }) => (score > 0n ? score : 0n)))
  const down = sum(scores.map(({ score }) => (score < 0n ? -score : 0n)))
  const widest = up - down > 0n ? up : down
  const pay = new Map<string, bigint>()
  const moves = new Map<string, [bigint, bigint]>()
  for (const doc of rows) {
    if (one.excluded.has(doc.contributor) || one.quarantined.has(doc.cluster)) continue
    const cap = (pool * UNIT * BigInt(policyOf(doc).capPerClusterBps)) / BPS
    const byWords = covered > 0n ? (provenance * UNIT * (bits.get(doc) ?? 0n)) / covered : 0n
    const score = scores.find((scored) => scored.doc === doc)?.score ?? 0n
    const moved =
      score > 0n ? (influence * UNIT * score) / up : -((influence * UNIT * -score) / (score === 0n ? 1n : widest))
    const words = byWords < cap ? byWords : cap
    const rest = moved > cap - words ? cap - words : moved < -cap ? -cap : moved
    if (words !== 0n || rest !== 0n) moves.set(doc.cluster, [words, rest])
    pay.set(doc.contributor, (pay.get(doc.contributor) ?? 0n) + words + (rest > 0n ? rest : 0n))
  }
  const shares = [...pay].map(([payee, fine]) => ({ payee, amount: fine / UNIT })).filter(({ amount }) => amount > 0n)
  return {
    totalBits: total,
    bits: [...bits]
      .filter(([, worth]) => worth > 0n)
      .map(([{ cluster }, worth]) => [cluster, worth])
      .sort(),
    scores: scores.map(({ doc, score }) => [doc.cluster, score]).sort(),
    pools: { owner, stakers, provenance, influence, residual: pool - provenance - influence },
    moves: [...moves].sort(),
    shares: shares.sort((a, b) => (a.payee < b.payee ? -1 : 1)),
    unattributed: pool - sum(shares.map(({ amount }) => amount)),
  }
}

const asEvidence = (one: Case): ReceiptEvidence => ({
  net: one.net,
  split: one.split,
  datanets: one.policies,
  unigram: Uint32Array.from({ length: 6 }, (_, id) => id * 3 * 65_536),
  answers: one.choices.map((choice) => ({
    prompt: choice.prompt,
    output: choice.output,
    tokens: cutTokens(choice).map(({ id, start, end }) => ({ id, bytes: end - start })),
    // Shards answer in any order.
    spans: bruteSpans(choice.output, one.corpus, Math.min(...one.policies.map(({ minSpanBytes }) => minSpanBytes)))
      .map((span) => ({ ...span, holders: span.holders.toReversed() }))
      .reverse(),
  })),
  influence: one.scores && {
    confidence: one.confidence,
    // Scores are linear: a cluster may come in two pieces.
    scores: one.scores.flatMap(({ doc: { text: _, ...credit }, score }) => [
      { ...credit, score: score / 2n },
      { ...credit, score: score - score / 2n },
    ]),
  },
  excluded: one.excluded,
  inManifest: ({ cluster }) => !one.outside.has(cluster),
  quarantined: one.quarantined,
})

const some = <Item>(items: readonly Item[]) => fc.subarray([...items], { maxLength: Math.ceil(items.length / 3) })
const policy = (id: string) =>
  fc.record({
    id: fc.constant(id),
    minSpanBytes: fc.integer({ min: 2, max: 6 }),
    maxClusters: fc.integer({ min: 1, max: 3 }),
    capPerClusterBps: fc.constantFrom(10_000, 2500, 1),
    capBitsPerToken: fc.constantFrom(1, 4, 16),
  })
const cases: fc.Arbitrary<Case> = fc
  .record({
    pool: fc.array(bytes({ minLength: 0, maxLength: 16 }), { minLength: 1, maxLength: 4 }),
    picks: fc.array(fc.tuple(fc.nat(3), fc.boolean(), bytes({ minLength: 0, maxLength: 4 }), fc.nat(2)), {
      maxLength: 7,
    }),
    policies: fc.tuple(policy('law'), policy('defi')),
    answers: fc.array(
      fc.tuple(
        fc.array(fc.nat(3), { maxLength: 2 }),
        bytes({ minLength: 0, maxLength: 6 }),
        bytes({ minLength: 0, maxLength: 8 }),
        fc.array(fc.nat(3), { maxLength: 20 }),
      ),
      { minLength: 1, maxLength: 2 },
    ),
    perVersion: fc.integer({ min: 1, max: 4 }),
    confidence: fc.bigInt({ min: 0n, max: UNIT }),
    net: fc.oneof(fc.bigInt({ min: 0n, max: 40n }), fc.bigInt({ min: 0n, max: 10n ** 30n })),
    split: fc.constantFrom(
      { ownerBps: 2000, stakersBps: 0, contributorsBps: 8000 },
      { ownerBps: 333, stakersBps: 334, contributorsBps: 9333 },
    ),
    scored: fc.boolean(),
  })
  .chain(({ pool, picks, answers, perVersion, scored, ...rest }) => {
    const corpus = picks.map(
      ([pick, law, more, who], sequence): Doc => ({
        text: Uint8Array.from([...pool[pick % pool.length]!, ...more]),
        cluster: `c${sequence}`,
        datanetId: law ? 'law' : 'defi',
        contributor: `p${who}`,
        sequence,
        versionEnd: Math.floor(sequence / perVersion) * perVersion + perVersion - 1,
      }),
    )
    const choices = answers.map(([quoted, own, asked, cuts]) => ({
      prompt: Uint8Array.from([...asked, ...(pool[quoted[1] ?? 9] ?? [])]),
      output: Uint8Array.from([...quoted.flatMap((pick) => [...pool[pick % pool.length]!]), ...own]),
      cuts,
    }))
    return fc.record({
      ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, fc.constant(value)])),
      corpus: fc.constant(corpus),
      choices: fc.constant(choices),
      scores: fc
        .array(fc.oneof(fc.bigInt({ min: -3n, max: 3n }), fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n })), {
          minLength: corpus.length,
          maxLength: corpus.length,
        })
        .map((scores) => (scored ? corpus.map((doc, i) => ({ doc, score: scores[i]! })) : null)),
      excluded: some(['p0', 'p1', 'p2']).map((names) => new Set(names)),
      outside: some(corpus.map(({ cluster }) => cluster)).map((names) => new Set(names)),
      quarantined: some(corpus.map(({ cluster }) => cluster)).map((names) => new Set(names)),
    }) as unknown as fc.Arbitrary<Case>
  })

property(
  'the whole receipt is what a second reading of the rule makes of the texts',
  ({ attributeReceipt, clusterEffects }) =>
    fc.assert(
      fc.property(cases, (one) => {
        const { totalBits, provenance, influence, pools, shares, unattributed } = attributeReceipt(asEvidence(one))
        const moves = clusterEffects({ provenance, influence }, pools, {
          excluded: one.excluded,
          capPerClusterBps: (id) => one.policies.find((policy) => policy.id === id)!.capPerClusterBps,
        })
        expect({
          totalBits,
          bits: provenance.map(({ cluster, bits }) => [cluster, bits]).sort(),
          scores: influence.map(({ cluster, score }) => [cluster, score]).sort(),
          pools,
          moves: moves
            .filter((moved) => moved.provenance !== 0n || moved.influence !== 0n)
            .map((moved) => [moved.cluster, [moved.provenance, moved.influence]])
            .sort(),
          shares,
          unattributed,
        }).toEqual(read(one))
        expect(provenance.map(({ cluster }) => Number(cluster.slice(1)))).toEqual(
          provenance.map(({ cluster }) => Number(cluster.slice(1))).sort((a, b) => a - b),
        )
      }),
      { numRuns: 600 },
    ),
  {
    'the rows of a cluster do not add up': [
      { file: 'attribute-receipt.ts', from: 'score: sum.score + scored.score', to: 'score: scored.score' },
    ],
    'clusters without information are listed': [
      { file: 'attribute-receipt.ts', from: '.filter(({ bits }) => bits > 0n)', to: '' },
    ],
    'the negatives have a scale of their own': [
      { file: SHARES, from: 'positive > negative ? positive : negative', to: 'negative' },
    ],
    'the negatives round away from zero': [{ file: SHARES, from: '-((pool * -score)', to: '-1n - ((pool * -score)' }],
    'another Datanet says what is common': [
      { file: CREDIT, from: 'policyOf(earliest.datanetId)) ?', to: 'policyOf(longest.holders[0]!.datanetId)) ?' },
    ],
  },
)

property(
  'of two stretches of one length the first decides what is common, in whatever order shards answer',
  ({ attributeReceipt }) => {
    const rows = ['abcd|bcde', 'abcd', 'abcd'].map((words) => Uint8Array.from(Buffer.from(words)))
    const output = Uint8Array.from(Buffer.from('abcde'))
    const evidence = evidenceOf(output, docs(rows, 3))
    for (const spans of [evidence.answers[0]!.spans, evidence.answers[0]!.spans.toReversed()]) {
      const { provenance } = attributeReceipt({ ...evidence, answers: [{ ...evidence.answers[0]!, spans }] })
      // LAW lets two clusters hold a stretch: 'abcd' is common, and only the 'e' is left to the first row.
      expect(provenance).toMatchObject([{ cluster: 'c0', bits: BigInt(1 + (101 % 3)) << 16n }])
    }
  },
  {
    'the last decides': [
      { file: CREDIT, from: 'span.end - span.start > best.end', to: 'span.end - span.start >= best.end' },
    ],
    'the first that came decides': [
      { file: CREDIT, from: '.sort((a, b) => a.start - b.start || b.end - a.end)', to: '' },
    ],
  },
)

describe('pools', () => {
  const split = { ownerBps: 2000, stakersBps: 0, contributorsBps: 8000 }
  it.each([
    [-1n, { totalBits: 2n, coveredBits: 1n, confidence: 0n }],
    [9n, { totalBits: 2n, coveredBits: 3n, confidence: 0n }],
    [9n, { totalBits: 2n, coveredBits: -1n, confidence: 0n }],
    [9n, { totalBits: 2n, coveredBits: 1n, confidence: UNIT + 1n }],
    [9n, { totalBits: 2n, coveredBits: 1n, confidence: -1n }],
  ])('of %s are not cut by %o', (net, evidence) => {
    expect(() => cutPools(net, split, evidence)).toThrow(RangeError)
  })
})
