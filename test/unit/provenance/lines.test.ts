import { expect, test } from 'vitest'
import { lineOf } from '../../../local/commands/provenance/answer-queries.ts'
import { linesOf } from '../../../local/commands/provenance/lines.ts'

const lines = async (chunks: string[], longest?: number) => {
  const found: string[] = []
  const stream = async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk)
  }
  for await (const line of linesOf(stream(), longest)) found.push(line.toString())
  return found
}

test('lines end in \\n only, and the last one need not', async () => {
  expect(await lines(['a\r', '\n\u2028b', '', 'c\n\nd'])).toEqual(['a\r', '\u2028bc', '', 'd'])
  expect(await lines([])).toEqual([])
  expect(await lines(['a\n'])).toEqual(['a'])
})

test('of a line that is too long little more is kept than shows that it is, and the next one is whole', async () => {
  const found = await lines(['ab', ...Array.from({ length: 1000 }, () => 'x'.repeat(9)), '\nnext', ' line\n'], 10)
  expect(found[1]).toBe('next line')
  expect(found[0]!.length).toBeGreaterThan(10)
  expect(found[0]!.length).toBeLessThan(30)
})

test('an answer is told in pieces, however many spans it has', () => {
  const owners = Array.from({ length: 16 }, (_, i) => `${i} of "[]" ${'i'.repeat(100)}`)
  for (const spans of [0, 1, 3000]) {
    const answer = {
      id: '[]"',
      spans: Array.from({ length: spans }, (_, start) => ({ start, end: start + 1, owners, ownerCount: 16 })),
      ms: 1.5,
    }
    const pieces = [...lineOf(answer)]
    expect(pieces.join('')).toBe(`${JSON.stringify(answer)}\n`)
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(1.1 * 2 ** 20)
  }
  expect([...lineOf({ queries: 0 })]).toEqual(['{"queries":0}\n'])
  expect([...lineOf({ id: null, error: 'not JSON' })]).toEqual(['{"id":null,"error":"not JSON"}\n'])
})
