import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toCodePoints, toTokens, toUtf16 } from '../../../functions/attribution/provenance/index.ts'

const characters = fc.array(fc.constantFrom('a', '\u0000', 'é', '€', '😀', '\u{10ffff}'), { maxLength: 30 })
const place = fc.tuple(fc.nat(100), fc.nat(100))
const within = ([a, b]: [number, number], length: number) => {
  const [start, end] = [a % (length + 1), b % (length + 1)].sort((x, y) => x - y) as [number, number]
  return { start, end }
}

/** Whole pieces inside bytes [start, end), by trying all: the pieces' numbers. Pieces without bytes are inside where they stand. */
const inside = (lengths: number[], { start, end }: { start: number; end: number }): number[] => {
  let at = 0
  return lengths.flatMap((length, i) => {
    const from = at
    at += length
    return from >= start && at <= end ? [i] : []
  })
}

test('a span is told as the whole characters inside it, in UTF-16 and in code points', () => {
  fc.assert(
    fc.property(characters, place, (list, cut) => {
      const bytes = Buffer.from(list.join(''))
      const span = within(cut, bytes.length)
      const lengths = list.map((character) => Buffer.byteLength(character))
      const whole = inside(lengths, span)
      const [points] = toCodePoints(bytes, [span])
      const [units] = toUtf16(bytes, [span])
      expect(Array.from(list.join('')).slice(points!.start, points!.end)).toEqual(whole.map((i) => list[i]))
      expect(list.join('').slice(units!.start, units!.end)).toBe(whole.map((i) => list[i]).join(''))
    }),
    { numRuns: 500 },
  )
})

test('a span is told as the whole tokens inside it; tokens of half a character and of no bytes among them', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(6), { maxLength: 20 }), place, (tokens, cut) => {
      const span = within(
        cut,
        tokens.reduce((sum, length) => sum + length, 0),
      )
      const [range] = toTokens(tokens, [span])
      const named = tokens.flatMap((_, i) => (i >= range!.start && i < range!.end ? [i] : []))
      expect(named.filter((i) => tokens[i]! > 0)).toEqual(inside(tokens, span).filter((i) => tokens[i]! > 0))
    }),
    { numRuns: 500 },
  )
})
