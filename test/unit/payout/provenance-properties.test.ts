import fc from 'fast-check'
import { expect } from 'vitest'
import { property } from './property.ts'
import { bruteSpans, bytes, docs, evidenceOf, join, LAW } from './small-corpus.ts'

const outputs = bytes({ minLength: 0, maxLength: 40 })
const corpora = fc.array(bytes({ minLength: 0, maxLength: 30 }), { minLength: 1, maxLength: 6 })
/** Few texts, each standing in several documents, and an output that quotes one of them. */
const repeated = fc
  .record({ pool: corpora, picks: fc.array(fc.nat({ max: 1 }), { minLength: 1, maxLength: 6 }), more: outputs })
  .map(({ pool, picks, more }) => ({
    texts: picks.map((pick) => pool[pick % pool.length]!),
    output: join(pool[0]!, more),
  }))
/** Long enough to hold windows of 16 bytes: by itself fast-check stays near 10. */
const rowTexts = fc
  .array(fc.constantFrom(97, 98, 99), { maxLength: 60, size: 'max' })
  .map((codes) => Uint8Array.from(codes))
const bitsOf = (attribution: { provenance: readonly { cluster: string; bits: bigint }[] }) =>
  new Map(attribution.provenance.map(({ cluster, bits }) => [cluster, bits]))
const credit = 'token-credit.ts'
const LONGEST_FIRST = {
  file: credit,
  from: 'const earliest = earliestOf(over.flatMap((span) => span.holders))',
  to: 'const earliest = over.length > 0 ? earliestOf(longestOf(over).holders) : undefined',
}
const LAST_HOLDER = { file: credit, from: 'best.sequence <= holder.sequence', to: 'best.sequence >= holder.sequence' }

property(
  'P7 copies registered later take nothing and leave the honest unchanged',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(outputs, corpora, fc.nat(), fc.integer({ min: 1, max: 5 }), (output, texts, pick, k) => {
        const honest = docs(texts)
        const copies = docs(
          Array.from({ length: k }, () => texts[pick % texts.length]!),
          1,
          texts.length,
        )
        const before = attributeReceipt(evidenceOf(output, honest))
        const after = attributeReceipt(evidenceOf(output, [...honest, ...copies]))
        expect(after.provenance).toEqual(before.provenance)
        expect(after.shares).toEqual(before.shares)
      }),
    ),
  { 'the latest holder is paid': [LAST_HOLDER] },
)

property(
  'P8 a near-copy never takes what an earlier row holds; it gains at most its own new stretches',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(bytes({ minLength: 8, maxLength: 40 }), fc.array(fc.nat(), { maxLength: 12 }), (original, edits) => {
        const edited = Uint8Array.from(original)
        for (const at of edits) edited[at % edited.length] = 100 + (at % 3)
        const [author, copy] = docs([original, edited]) as [ReturnType<typeof docs>[0], ReturnType<typeof docs>[0]]
        // The answer repeats the copy: the author keeps every token that stands in an unedited stretch.
        const bits = bitsOf(attributeReceipt(evidenceOf(edited, [author, copy])))
        const alone = bitsOf(attributeReceipt(evidenceOf(edited, [author])))
        expect(bits.get(author.cluster) ?? 0n).toBe(alone.get(author.cluster) ?? 0n)
        if (edits.length === 0) expect(bits.get(copy.cluster)).toBeUndefined()
      }),
    ),
  { 'the longest span wins over the earlier row': [LONGEST_FIRST] },
)

property(
  'P12 rows outside the signed manifest get nothing',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(outputs, corpora, fc.nat(), (output, texts, pick) => {
        const corpus = docs(texts)
        const out = corpus[pick % corpus.length]!.cluster
        const inManifest = ({ cluster }: { cluster: string }) => cluster !== out
        const scores = corpus.map(({ text: _, ...holder }) => ({ ...holder, score: 5n }))
        const given = attributeReceipt(
          evidenceOf(output, corpus, { inManifest, influence: { confidence: 1n << 20n, scores } }),
        )
        const without = corpus.filter(inManifest)
        expect(given.provenance).toEqual(attributeReceipt(evidenceOf(output, without)).provenance)
        expect(given.influence.map(({ cluster }) => cluster)).toEqual(without.map(({ cluster }) => cluster))
      }),
    ),
  {
    'spans of other rows count': [
      { file: 'attribute-receipt.ts', from: 'known(answer.spans, evidence.inManifest)', to: 'answer.spans' },
    ],
    'scores of other rows count': [{ file: 'attribute-receipt.ts', from: 'evidence.inManifest(row) && ', to: '' }],
  },
)

property(
  'P14 the credited information never exceeds that of the tokens, and each token is credited once',
  ({ attributeReceipt, creditTokens }) =>
    fc.assert(
      fc.property(outputs, corpora, (output, texts) => {
        const evidence = evidenceOf(output, docs(texts, 3))
        const { provenance, totalBits } = attributeReceipt(evidence)
        const covered = provenance.reduce((sum, { bits }) => sum + bits, 0n)
        const stretches = [...output].map((_, i) => ({ start: i, end: i + 1 }))
        const verdicts = creditTokens(stretches, evidence.answers[0]!.spans, [], () => LAW)
        const paid = [...output].reduce(
          (sum, id, i) => sum + ('to' in verdicts[i]! ? BigInt(1 + (id % 3)) << 16n : 0n),
          0n,
        )
        expect(covered).toBe(paid)
        expect(covered <= totalBits).toBe(true)
      }),
    ),
  {
    'a token counts twice': [
      {
        file: 'attribute-receipt.ts',
        from: 'credit.bits += BigInt(information[token]!)',
        to: 'credit.bits += BigInt(2 * information[token]!)',
      },
    ],
  },
)

property(
  'P15 shards and splits of documents outside a span change nothing',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(
        repeated,
        fc.integer({ min: 1, max: 4 }),
        bytes({ minLength: 1, maxLength: 9 }),
        ({ output, texts }, shards, tail) => {
          const corpus = docs(texts, 6)
          const whole = attributeReceipt(evidenceOf(output, corpus))
          const perShard = Array.from({ length: shards }, (_, s) =>
            bruteSpans(
              output,
              corpus.filter((_, d) => d % shards === s),
              LAW.minSpanBytes,
            ),
          )
          const evidence = evidenceOf(output, corpus)
          const sharded = attributeReceipt({
            ...evidence,
            answers: [{ ...evidence.answers[0]!, spans: perShard.flat() }],
          })
          expect(sharded.provenance).toEqual(whole.provenance)
          // Text that the output cannot hold, cut off or put in front, moves no credit.
          const longer = corpus.map((doc) => ({
            ...doc,
            text: join(
              Uint8Array.from(tail, () => 122),
              doc.text,
            ),
          }))
          expect(attributeReceipt(evidenceOf(output, longer)).provenance).toEqual(whole.provenance)
        },
      ),
    ),
  {
    'common language counts the holders of one shard only': [
      {
        file: credit,
        from: 'for (const other of all)\n    if (covers(other, span))',
        to: 'for (const other of [span])\n    if (covers(other, span))',
      },
    ],
  },
)

property(
  'P16 no evidence, no pay',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(outputs, corpora, (output, texts) => {
        const corpus = docs(texts)
        const { provenance, shares, pools } = attributeReceipt(evidenceOf(output, corpus))
        const held = bruteSpans(output, corpus, LAW.minSpanBytes)
        const tokens = [...output].filter((_, i) => held.some(({ start, end }) => start <= i && i < end))
        const most = tokens.reduce((sum, id) => sum + (BigInt(1 + (id % 3)) << 16n), 0n)
        expect(provenance.reduce((sum, { bits }) => sum + bits, 0n) <= most).toBe(true)
        if (held.length === 0) expect({ shares, residual: pools.residual }).toEqual({ shares: [], residual: 800_000n })
      }),
    ),
  {
    'a token outside every span is paid too': [
      { file: credit, from: 'eligible.filter((span) => covers(span, token))', to: 'eligible' },
    ],
  },
)

property(
  'P17 deleting a document that does not match changes nothing',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(outputs, corpora, bytes({ minLength: 0, maxLength: 20 }), (output, texts, other) => {
        const corpus = docs(texts)
        const unmatched = docs([Uint8Array.from(other, () => 122)], 1, texts.length)
        const excluded = new Set(['p9'])
        expect(attributeReceipt(evidenceOf(output, [...corpus, ...unmatched], { excluded }))).toEqual(
          attributeReceipt(evidenceOf(output, corpus, { excluded })),
        )
        // The one table that weighs tokens is the base model's: all information is the same, whatever the corpus.
        expect(attributeReceipt(evidenceOf(output, unmatched)).totalBits).toBe(
          attributeReceipt(evidenceOf(output, corpus)).totalBits,
        )
      }),
    ),
  {
    'tokens are weighed by the spans found': [
      {
        file: 'attribute-receipt.ts',
        from: 'tokenInformation(answer.tokens, evidence.unigram, cap)',
        to: 'tokenInformation(answer.tokens, evidence.unigram, answer.spans.length + 1)',
      },
    ],
  },
)

property(
  'P19 rows registered later never lower an earlier row’s credit',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(outputs, corpora, corpora, (output, early, late) => {
        const earlier = docs(early)
        // Later rows quote earlier ones and the output itself, add to them, and flood.
        const quoting = late.map((text, i) =>
          i % 3 === 0 ? join(early[i % early.length]!, text) : i % 3 === 1 ? output : text,
        )
        const before = bitsOf(attributeReceipt(evidenceOf(output, earlier)))
        const after = bitsOf(attributeReceipt(evidenceOf(output, [...earlier, ...docs(quoting, 1, early.length)])))
        for (const [cluster, bits] of before) expect(after.get(cluster) ?? 0n).toBeGreaterThanOrEqual(bits)
      }),
    ),
  {
    'the longest span wins over the earlier row': [LONGEST_FIRST],
    'later holders count as common language': [
      {
        file: credit,
        from: 'if (holder.sequence <= of.versionEnd) clusters.add(holder.cluster)',
        to: 'clusters.add(holder.cluster)',
      },
    ],
  },
)

property(
  'a span that stands in the prompt earns nothing and stays in the denominator',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(bytes({ minLength: 6, maxLength: 30 }), bytes({ minLength: 0, maxLength: 6 }), (quoted, rest) => {
        const output = join(quoted, rest)
        const evidence = evidenceOf(output, docs([output]))
        const stuffed = attributeReceipt({
          ...evidence,
          answers: [{ ...evidence.answers[0]!, prompt: join(rest, quoted) }],
        })
        const plain = attributeReceipt(evidence)
        expect(stuffed.totalBits).toBe(plain.totalBits)
        const paid = stuffed.provenance.reduce((sum, { bits }) => sum + bits, 0n)
        const most = [...rest].reduce((sum, id) => sum + (BigInt(1 + (id % 3)) << 16n), 0n)
        expect(paid <= most).toBe(true)
      }),
    ),
  {
    'the prompt is not looked at': [
      { file: credit, from: "if (echoes.some((echo) => covers(echo, token))) return { nobody: 'in-prompt' }", to: '' },
    ],
  },
)

property(
  'P7, P19 a row’s own part: none of a copy, unmoved by later rows, and an edit’s is bounded by what was edited',
  ({ ownParts, ownInfluence }) =>
    fc.assert(
      fc.property(
        fc.array(rowTexts, { minLength: 1, maxLength: 5 }),
        fc.array(rowTexts, { maxLength: 4 }),
        fc.nat(),
        fc.nat(),
        (early, late, which, where) => {
          const copied = early[which % early.length]!
          const edited = Uint8Array.from(copied)
          if (edited.length > 0) edited[where % edited.length] = 122
          const parts = ownParts([...early, copied, edited, ...late])
          expect(parts.slice(0, early.length)).toEqual(ownParts(early))
          for (const part of parts) expect(part >= 0n && part <= 1n << 20n).toBe(true)
          const [copy, edit] = parts.slice(early.length) as [bigint, bigint]
          if (copied.length >= 16) expect(copy).toBe(0n)
          // One changed byte frees at most the stretches too short to be evidence on both sides of it.
          if (copied.length > 0) expect(Number(edit) / 2 ** 20).toBeLessThanOrEqual(Math.min(1, 31 / copied.length))
          expect(ownInfluence(-7n, copy)).toBe(-ownInfluence(7n, copy))
          expect(ownInfluence(900n, copy) <= 900n).toBe(true)
        },
      ),
    ),
  {
    'only the row before is looked at': [
      {
        file: 'own-part.ts',
        from: 'const seen = new Set<string>()\n  return',
        to: 'let seen = new Set<string>()\n  return',
      },
      {
        file: 'own-part.ts',
        from: 'for (const window of windows) seen.add(window)',
        to: 'seen = new Set(windows)',
      },
    ],
    'stretches are counted twice where they overlap': [{ file: 'own-part.ts', from: 'Math.max(at, heldTo)', to: 'at' }],
    'the part is not applied': [
      {
        file: 'own-part.ts',
        from: '(score * ownPart) / FINE',
        to: '(score * ownPart) / FINE + (score > 800n ? score : 0n)',
      },
    ],
  },
)

property(
  'quarantined clusters stay listed and earn nothing; nobody else’s part grows',
  ({ attributeReceipt }) =>
    fc.assert(
      fc.property(outputs, corpora, fc.nat(), (output, texts, pick) => {
        // One contributor a cluster, so that a share is a cluster's.
        const corpus = docs(texts).map((doc) => ({ ...doc, contributor: doc.cluster }))
        const away = corpus[pick % corpus.length]!.cluster
        const scores = corpus.map(({ text: _, ...holder }, i) => ({ ...holder, score: BigInt(5 + i) }))
        const change = { influence: { confidence: 1n << 19n, scores } }
        const free = attributeReceipt(evidenceOf(output, corpus, change))
        const held = attributeReceipt(evidenceOf(output, corpus, { ...change, quarantined: new Set([away]) }))
        expect(held.pools).toEqual(free.pools)
        expect(held.shares).toEqual(free.shares.filter(({ payee }) => payee !== away))
        expect(held.influence.map(({ cluster }) => cluster)).toEqual(free.influence.map(({ cluster }) => cluster))
        for (const entry of [...held.influence, ...held.provenance])
          expect(entry.quarantined === true).toBe(entry.cluster === away)
      }),
    ),
  {
    'the mark is not set on influence': [{ file: 'attribute-receipt.ts', from: ').map(held)', to: ')' }],
    'the mark is not looked at': [{ file: 'cluster-shares.ts', from: ' || quarantined.has(effect.cluster)', to: '' }],
  },
)
