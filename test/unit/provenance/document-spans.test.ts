import fc from 'fast-check'
import { expect, test } from 'vitest'
import { documentSpans } from '../../../functions/attribution/document-spans.ts'
import { referenceSpans } from '../../../functions/attribution/provenance/reference.ts'
import { parseBody, servingBody } from '../../../functions/open-lora/request.ts'

const billing = (...minSpanBytes: number[]) =>
  ({ datanets: minSpanBytes.map((bytes) => ({ policy: { minSpanBytes: bytes } })) }) as never
const choice = (outputText: string) => ({
  promptText: '',
  promptTokens: [],
  outputText,
  outputTokens: [...outputText].map((character, id) => ({ id, bytes: Buffer.byteLength(character) })),
})

test('spans of every choice in the documents, by brute force, at the shortest span of the Datanets', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀'), maxLength: 30 })
  fc.assert(
    fc.property(fc.array(text, { maxLength: 4 }), fc.array(text, { maxLength: 2 }), (texts, outputs) => {
      const documents = texts.map((text, i) => ({ id: `d${i}`, text }))
      const told = documentSpans(billing(9, 3), { documents, choices: outputs.map(choice) })
      const expected = outputs.flatMap((output, i) =>
        referenceSpans(documents, Buffer.from(output), 3).map(({ start, end, owners }) => ({ i, start, end, owners })),
      )
      expect(
        told.map(({ start, end, documents, choice = 0 }) => ({ i: choice, start, end, owners: documents })),
      ).toEqual(expected)
      for (const { start, end, startChar, endChar, startToken, endToken, choice = 0 } of told) {
        // What is told in characters and tokens lies inside the bytes.
        const bytes = Buffer.from(outputs[choice]!).subarray(start, end).toString()
        expect(bytes).toContain(outputs[choice]!.slice(startChar, endChar))
        expect([...outputs[choice]!].slice(startToken, endToken).join('')).toBe(
          outputs[choice]!.slice(startChar, endChar),
        )
      }
    }),
    { numRuns: 60 },
  )
}, 60_000)

test('of many documents that hold a stretch some are named and all are counted', () => {
  const documents = Array.from({ length: 40 }, (_, i) => ({ id: `d${i}`, text: 'the same passage' }))
  const [span] = documentSpans(billing(3), { documents, choices: [choice('the same passage')] })
  expect(span).toMatchObject({
    documentCount: 40,
    documents: documents
      .map(({ id }) => id)
      .sort()
      .slice(0, 16),
  })
})

test('no documents, no spans', () => {
  expect(documentSpans(billing(3), { choices: [choice('abc')] })).toEqual([])
})

const asked = (documents: unknown) =>
  parseBody('/v1/completions', { model: 'n/m', prompt: 'p', openledger: { documents } })

test.each([
  [
    'two documents of one id',
    [
      { id: 'a', text: '' },
      { id: 'a', text: 'x' },
    ],
  ],
  ['half a surrogate pair', [{ id: 'a', text: '\ud800' }]],
  ['more than 1 MiB', [{ id: 'a', text: 'é'.repeat(524_289) }]],
  ['an unknown field', [{ id: 'a', text: 'x', url: 'y' }]],
  ['no list', 'x'],
])('%s is refused, naming the field', (_, documents) => {
  expect(() => asked(documents)).toThrow(
    expect.objectContaining({ code: 'invalid-request', message: expect.stringContaining('openledger.documents') }),
  )
})

test('the model is not sent the documents', () => {
  const documents = [{ id: 'a', text: 'secret of the payer' }]
  const body = asked(documents)
  expect(body.openledger?.documents).toEqual(documents)
  expect(servingBody(body, 'adapter')).not.toContain('secret')
})
