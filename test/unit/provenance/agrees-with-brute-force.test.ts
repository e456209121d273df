import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildIndex, type IndexRow, mergeSpans, openIndex } from '../../../functions/attribution/provenance/index.ts'
import { PlainIndex } from '../../../functions/attribution/provenance/plain-index.ts'
import { referenceCount, referenceSpans } from '../../../functions/attribution/provenance/reference.ts'

const encode = (text: string) => new TextEncoder().encode(text)
const rowsOf = (texts: readonly string[]): IndexRow[] => texts.map((text, i) => ({ id: `r${i}`, text }))
const ALL = 1_000_000

function check(texts: string[], queries: Uint8Array[], minLength: number, deletedRows: number[] = []) {
  const rows = rowsOf(texts)
  const deleted = new Set(deletedRows.map((i) => `r${i}`))
  const index = openIndex(buildIndex(rows))
  const tombstones = index.tombstones([...deleted, 'of another shard'])
  for (const query of queries) {
    const expected = referenceSpans(rows, query, minLength, deleted)
    expect(index.spans(query, { minLength, maxOwners: ALL, deleted: tombstones })).toEqual(expected)
    if (query.length > 0) expect(index.count(query)).toBe(referenceCount(rows, query))
  }
}

/** Few symbols make many repeats; NUL, multi-byte characters and the largest code points are among them. */
const alphabet = fc.constantFrom(
  fc.constantFrom('a'),
  fc.constantFrom('a', 'b'),
  fc.constantFrom('a', 'b', '\u0000', 'é', '€', '😀', '\uffff', '\u{10ffff}'),
)
const text = (max: number) => alphabet.chain((unit) => fc.string({ unit, maxLength: max }))

test('spans, owners and counts agree with brute force, also with deleted rows and characters cut by a query', () => {
  fc.assert(
    fc.property(
      fc.array(text(40), { maxLength: 8 }),
      fc.array(text(60), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.nat(7), { maxLength: 4 }),
      (texts, queries, minLength, deleted) => {
        const spliced = encode(texts.map((t) => t.slice(1, 20)).join(''))
        check(texts, [...queries.map(encode), spliced, spliced.subarray(1)], minLength, deleted)
      },
    ),
    { numRuns: 1000 },
  )
}, 60_000)

test('named rows are the smallest ids; a union of shards says the same, however rows are sharded', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text(30), fc.nat(3)), { maxLength: 10 }),
      text(60),
      fc.integer({ min: 1, max: 6 }),
      fc.nat(3),
      (placed, query, minLength, maxOwners) => {
        const rows = rowsOf(placed.map(([text]) => text))
        const options = { minLength, maxOwners }
        const expected = referenceSpans(rows, encode(query), minLength).map((span) => ({
          ...span,
          owners: span.owners.slice(0, maxOwners),
        }))
        const shards = [0, 1, 2, 3].map((shard) => rows.filter((_, i) => placed[i]![1] === shard))
        const answers = shards.map((shard) => openIndex(buildIndex(shard)).spans(encode(query), options))
        expect(mergeSpans(answers, maxOwners)).toEqual(expected)
        expect(mergeSpans([...answers].reverse(), maxOwners)).toEqual(expected)
      },
    ),
    { numRuns: 300 },
  )
}, 60_000)

/** Pieces of a text, near copies of them and noise: what outputs look like. */
const outputs = (source: Buffer): Uint8Array[] => {
  const cut = (from: number, length: number) => source.subarray(from % source.length, (from % source.length) + length)
  const near = Buffer.from(cut(70_001, 400))
  for (let at = 37; at < near.length; at += 61) near[at] = 35
  return [
    cut(1234, 700),
    Buffer.concat([cut(999, 41), cut(50_021, 97), encode(' and 😀 then '), cut(31, 33), cut(40_000, 200)]),
    near,
    encode('none of this stands anywhere, zqxj wvkz qqq'),
  ]
}

describe('texts of many blocks agree with the plain index', () => {
  const fibonacci = () => {
    let [a, b] = ['b', 'a']
    while (b.length < 60_000) [a, b] = [b, b + a]
    return b
  }
  const source = readFileSync('node_modules/fast-check/lib/fast-check.js', 'utf8').slice(0, 120_000)
  const english = readFileSync('node_modules/aws-cdk-lib/README.md', 'utf8')
  const cut = (text: string, bytes: number) => text.match(new RegExp(`[^]{1,${bytes}}`, 'gu')) ?? []
  const texts: Record<string, string[]> = {
    'source code': cut(source, 700),
    English: cut(english, 900),
    'one repeated symbol': ['a'.repeat(50_000), 'a'.repeat(31), 'a'.repeat(32)],
    'a Fibonacci string': cut(fibonacci(), 9000),
    'thousands of identical rows': Array.from({ length: 2000 }, () => source.slice(3000, 3060)),
    'one phrase after many different words': Array.from(
      { length: 3000 },
      (_, i) => `${((i * 7919) % 46_656).toString(36)} is what the record says about row ${i % 7}.`,
    ),
    'empty and one-byte rows': [
      ...Array.from({ length: 900 }, (_, i) => 'ab'.slice(0, i % 2)),
      source.slice(0, 18_000),
    ],
    'NUL bytes': cut('\u0000\u0000x\u0000'.repeat(9000), 1001),
    'characters of many bytes': cut('€😀é\u{10ffff}\uffff日本語'.repeat(2500), 321),
  }
  test.each(Object.keys(texts))(
    '%s',
    (name) => {
      const rows = rowsOf(texts[name]!)
      const plain = new PlainIndex(rows)
      const index = openIndex(buildIndex(rows))
      const all = Buffer.from(texts[name]!.join(''))
      const deleted = new Set(rows.filter((_, i) => i % 3 === 1).map(({ id }) => id))
      const tombstones = index.tombstones(deleted)
      expect(tombstones.rows).toBe(deleted.size)
      expect(tombstones.bytes).toBe(
        rows.reduce((sum, { id, text }) => sum + (deleted.has(id) ? Buffer.byteLength(text) : 0), 0),
      )
      for (const query of outputs(all)) {
        for (const minLength of [1, 31, 32]) {
          expect(index.spans(query, { minLength, maxOwners: ALL })).toEqual(plain.spans(query, minLength))
          const answer = index.spans(query, { minLength, maxOwners: ALL, deleted: tombstones })
          expect(answer).toEqual(plain.spans(query, minLength, deleted))
        }
        for (let end = 1; end < query.length; end = 2 * end + 1)
          expect(index.count(query.subarray(0, end))).toBe(plain.count(query.subarray(0, end)))
      }
    },
    60_000,
  )
})

test('queries of length 0, 1, L - 1 and L, and matches only across a row border', () => {
  const index = openIndex(buildIndex(rowsOf(['the first row ends here', 'and here the second begins', 'x'])))
  const spans = (query: string, minLength: number) => index.spans(encode(query), { minLength, maxOwners: 9 })
  expect(spans('', 1)).toEqual([])
  expect(spans('x', 1)).toEqual([{ start: 0, end: 1, owners: ['r0', 'r2'].slice(1), ownerCount: 1 }])
  expect(spans('row ends', 9)).toEqual([])
  expect(spans('row ends', 8)).toEqual([{ start: 0, end: 8, owners: ['r0'], ownerCount: 1 }])
  expect(spans('ends hereand here', 10)).toEqual([])
  expect(spans('ends hereand here', 9)).toEqual([{ start: 0, end: 9, owners: ['r0'], ownerCount: 1 }])
  // 0xff ends rows inside the index: a query that holds it (not UTF-8, but a caller may) reaches no further.
  const crossing = Buffer.concat([encode('ends here'), Buffer.of(0xff), encode('and here')])
  expect(index.spans(crossing, { minLength: 8, maxOwners: 0 }).map(({ start, end }) => [start, end])).toEqual([
    [0, 9],
    [10, 18],
  ])
  expect(index.count(crossing)).toBe(0)
  expect(() => index.count(encode(''))).toThrow(expect.objectContaining({ code: 'BAD_QUERY' }))
  expect(() => spans('x', 0)).toThrow(expect.objectContaining({ code: 'BAD_QUERY' }))
  const empty = openIndex(buildIndex([]))
  expect(empty.spans(encode('x'), { minLength: 1, maxOwners: 1 })).toEqual([])
  expect(empty.count(encode('x'))).toBe(0)
})
