import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildIndex, type IndexRow, openIndex } from '../../../functions/attribution/provenance/index.ts'
import { referenceCount, referenceSpans } from '../../../functions/attribution/provenance/reference.ts'

const encode = (text: string) => new TextEncoder().encode(text)

function check(texts: string[], queries: Uint8Array[], minLength: number, deletedRows: number[] = []) {
  const rows: IndexRow[] = texts.map((text, i) => ({ id: `r${i}`, text }))
  const deleted = new Set(deletedRows.map((i) => `r${i}`))
  const index = openIndex(buildIndex(rows))
  const tombstones = index.tombstones([...deleted, 'of another shard'])
  for (const query of queries) {
    const expected = referenceSpans(rows, query, minLength, deleted)
    expect(index.spans(query, { minLength, maxOwners: 1_000_000, deleted: tombstones })).toEqual(expected)
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

test('spans, owners and counts agree with brute force', () => {
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
    { numRuns: 1500 },
  )
})
