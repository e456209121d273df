import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  findRepresentatives,
  MOST_COMPARED,
  mostAlike,
  type Verdict,
} from '../../../functions/datanets/clusters/find-representatives.ts'
import { gramsOf, isNear, overlap } from '../../../functions/datanets/clusters/grams.ts'
import { equalValues, PERMUTATIONS, signatureOf } from '../../../functions/datanets/clusters/minhash.ts'
import { normaliseText } from '../../../functions/datanets/clusters/normalise-text.ts'
import { WORDS } from './words.ts'

const cluster = async (texts: string[], earlier: { id: string; text: string }[] = []): Promise<Verdict[]> => {
  const normal = texts.map(normaliseText)
  const signatures = new Uint32Array(texts.length * PERMUTATIONS)
  normal.forEach((text, row) => {
    signatures.set(signatureOf(text), row * PERMUTATIONS)
  })
  const verdicts: Verdict[] = []
  const rows = {
    count: texts.length,
    signatures,
    text: (row: number) => normal[row] as string,
    earlier: () =>
      earlier.map(({ id, text }, sequence) => ({
        id,
        sequence,
        equal: PERMUTATIONS,
        text: async () => normaliseText(text),
      })),
  }
  for await (const verdict of findRepresentatives(rows)) verdicts.push(verdict)
  return verdicts
}

/** The rule itself, without MinHash: every row against every representative before it. */
const bruteForce = (texts: string[]): (number | null)[] => {
  const representatives: { row: number; text: string; grams: Set<string> }[] = []
  return texts.map(normaliseText).map((text, row) => {
    const grams = gramsOf(text)
    const found = representatives.find((other) => other.text === text || isNear(grams, other.grams))
    if (!found) representatives.push({ row, text, grams })
    return found?.row ?? null
  })
}
const ownersOf = (verdicts: Verdict[]): (number | null)[] =>
  verdicts.map((verdict) => (verdict.code === 'representative' ? null : 'row' in verdict.of ? verdict.of.row : -1))

const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
const proseOf = (next: () => number, words: number): string[] =>
  Array.from({ length: words }, () => WORDS[Math.floor(next() * WORDS.length)] as string)
const edited = (words: string[], share: number, next: () => number): string[] =>
  words.map((word) => (next() < share ? (WORDS[Math.floor(next() * WORDS.length)] as string) : word))

describe('normalised text', () => {
  it('does not see case, width, white space, joiners and soft hyphens', () => {
    const plain = normaliseText('The office of Straße 5')
    for (const copy of [
      'the OFFICE of strasse 5',
      'The o\uFB03ce of\u00a0\n Stra\u00ADße ５ ',
      '\u200bThe of\u2060fice of STRASSE 5',
    ])
      expect(normaliseText(copy)).toBe(plain)
    expect(normaliseText('The office of Straße 6')).not.toBe(plain)
  })
  it('changes nothing the second time, on any one character', () => {
    const moved: string[] = []
    for (let point = 0; point <= 0x10ffff; point++) {
      const once = normaliseText(String.fromCodePoint(point))
      if (normaliseText(once) !== once) moved.push(point.toString(16))
    }
    expect(moved).toEqual([])
  })
  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const once = normaliseText(text)
        expect(normaliseText(once)).toBe(once)
      }),
      { numRuns: 500 },
    )
  })
})

describe('MinHash', () => {
  it('estimates the Jaccard similarity within its standard error', () => {
    const next = random(7)
    let error = 0
    const pairs = 300
    for (let pair = 0; pair < pairs; pair++) {
      const words = proseOf(next, 80)
      const [a, b] = [words.join(' '), edited(words, next() * 0.4, next).join(' ')]
      const { both, either } = overlap(gramsOf(a), gramsOf(b))
      error += (equalValues(signatureOf(a), 0, signatureOf(b), 0) / PERMUTATIONS - both / either) ** 2
    }
    // sqrt(J (1 - J) / 128) is at most 0.0442.
    expect(Math.sqrt(error / pairs)).toBeLessThan(0.0442)
  })
})

describe('evidence clusters', () => {
  const base = proseOf(random(1), 60).join(' ')

  it('a copy belongs to the first, whatever its case and spacing', async () => {
    expect(
      await cluster([base, base.toUpperCase(), `  ${base.replaceAll(' ', '\n')}`, 'something else altogether']),
    ).toEqual([
      { code: 'representative' },
      { code: 'exact-duplicate', of: { row: 0 } },
      { code: 'exact-duplicate', of: { row: 0 } },
      { code: 'representative' },
    ])
  })

  it('decides at exactly 0.8', () => {
    const set = (from: number, to: number) => new Set(Array.from({ length: to - from }, (_, i) => `${from + i}`))
    expect(isNear(set(0, 100), set(0, 80))).toBe(true)
    expect(isNear(set(0, 100), set(0, 79))).toBe(false)
    expect(isNear(set(0, 90), set(10, 100))).toBe(true)
    expect(isNear(set(0, 90), set(11, 101))).toBe(false)
  })

  it('a bridge row joins one cluster and does not join the two', async () => {
    const next = random(3)
    const left = proseOf(next, 120)
    // Each step edits a little: neighbours are near, the ends are not.
    const middle = edited(left, 0.09, next)
    const right = edited(middle, 0.09, next)
    const texts = [left, right, middle].map((words) => words.join(' '))
    const near = (a: number, b: number) => isNear(gramsOf(texts[a] as string), gramsOf(texts[b] as string))
    expect([near(0, 2), near(1, 2), near(0, 1)]).toEqual([true, true, false])
    expect(ownersOf(await cluster(texts))).toEqual([null, null, 0])
    // The bridge first: it is its own cluster, and takes both.
    expect(ownersOf(await cluster([texts[2], texts[0], texts[1]] as string[]))).toEqual([null, 0, 0])
    // A duplicate never stands for anything: what is near it alone is new.
    expect(ownersOf(await cluster([texts[0], texts[2], texts[1]] as string[]))).toEqual([null, 0, null])
  })

  it('the earliest of the earlier representatives wins over a later one and over the own upload', async () => {
    const earlier = [
      { id: 'row_a', text: 'nothing like it' },
      { id: 'row_b', text: base },
      { id: 'row_c', text: base },
    ]
    expect(await cluster([base, base], earlier)).toEqual([
      { code: 'exact-duplicate', of: { id: 'row_b' } },
      { code: 'exact-duplicate', of: { id: 'row_b' } },
    ])
  })

  it('rows made to crowd the bands neither hide a copy nor make the work quadratic', async () => {
    // A common head shares its smallest hashes, and with them whole bands, with every row.
    const next = random(5)
    const head = proseOf(next, 60).join(' ')
    const crowd = Array.from({ length: 3000 }, () => `${head} ${proseOf(next, 45).join(' ')}`)
    const copy = crowd[1500]?.replace('the', 'a') as string
    const verdicts = await cluster([...crowd, copy])
    expect(verdicts.at(-1)).toMatchObject({ code: 'near-duplicate' })
  })

  it('compares with the most alike only, should there be more than a row can be compared with', () => {
    const candidates = Array.from({ length: 500 }, (_, n) => ({ n, equal: n % 250 }))
    const kept = mostAlike(candidates)
    expect(kept).toHaveLength(MOST_COMPARED)
    expect(Math.min(...kept.map(({ equal }) => equal))).toBe(250 - MOST_COMPARED / 2)
    expect(kept.map(({ n }) => n)).toEqual(kept.map(({ n }) => n).sort((a, b) => a - b))
    expect(mostAlike(candidates.slice(0, 5))).toEqual(candidates.slice(0, 5))
  })

  it('agrees with brute force on edited copies', async () => {
    const next = random(11)
    let rows = 0
    let wrong = 0
    for (let round = 0; round < 12; round++) {
      const originals = Array.from({ length: 8 }, () => proseOf(next, 20 + Math.floor(next() * 80)))
      const texts = Array.from({ length: 60 }, () =>
        edited(originals[Math.floor(next() * originals.length)] as string[], next() * 0.3, next).join(' '),
      )
      const wanted = bruteForce(texts)
      const found = ownersOf(await cluster(texts))
      rows += texts.length
      wrong += wanted.filter((owner, row) => owner !== found[row]).length
    }
    // 21 bands of 6 miss a pair at exactly 0.8 with probability 0.002, and less above it.
    expect(wrong / rows).toBeLessThanOrEqual(0.005)
  })

  it('whatever the order: representatives are never near each other, and every duplicate is near an earlier one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
        const next = random(seed)
        const originals = Array.from({ length: 4 }, () => proseOf(next, 50))
        // At most one word of fifty is another: two copies of one original stay above 0.8.
        const texts = Array.from({ length: 20 }, () => {
          const words = [...(originals[Math.floor(next() * 4)] as string[])]
          if (next() < 0.5)
            words[Math.floor(next() * words.length)] = WORDS[Math.floor(next() * WORDS.length)] as string
          return words.join(' ')
        })
        const shuffled = texts
          .map((text) => ({ text, at: next() }))
          .sort((a, b) => a.at - b.at)
          .map(({ text }) => text)
        for (const order of [texts, shuffled]) {
          const owners = ownersOf(await cluster(order))
          const grams = order.map((text) => gramsOf(normaliseText(text)))
          owners.forEach((owner, row) => {
            if (owner !== null) {
              expect(owners[owner]).toBe(null)
              expect(owner).toBeLessThan(row)
              expect(isNear(grams[row] as Set<string>, grams[owner] as Set<string>)).toBe(true)
            }
          })
        }
        // Small edits of distant originals: the clusters are the originals in any order, only their representatives change.
        const clusters = async (order: string[]) =>
          ownersOf(await cluster(order)).filter((owner) => owner === null).length
        expect(await clusters(shuffled)).toBe(await clusters(texts))
      }),
      { numRuns: 15 },
    )
  })
})
