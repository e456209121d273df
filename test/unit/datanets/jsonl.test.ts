import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../functions/datanets/formats/limits.ts'
import { codes, split, texts } from './sources.ts'

const line = (value: unknown): string => `${JSON.stringify(value)}\n`
const long = 'A sentence that is long enough to stand for itself.'

describe('JSON lines', () => {
  it('reads the four shapes and ShareGPT', async () => {
    const { rows } = await split(
      [
        { text: long },
        {
          messages: [
            { role: 'system', content: 'Be brief.' },
            { role: 'user', content: 'Why?' },
            { role: 'assistant', content: long },
          ],
        },
        { prompt: 'What is a Datanet?', completion: long },
        { instruction: 'Explain.', input: 'A receipt.', output: long },
        { instruction: 'Explain.', input: '', output: long },
        {
          conversations: [
            { from: 'human', value: 'Why?' },
            { from: 'gpt', value: long },
          ],
        },
      ]
        .map(line)
        .join(''),
      'rows.jsonl',
    )
    expect(rows.map((row) => 'content' in row && row.content)).toEqual([
      { text: long },
      {
        text: `Be brief.\n\nWhy?\n\n${long}`,
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Why?' },
          { role: 'assistant', content: long },
        ],
      },
      { text: `What is a Datanet?\n\n${long}`, prompt: 'What is a Datanet?', completion: long },
      { text: `Explain.\n\nA receipt.\n\n${long}`, prompt: 'Explain.\n\nA receipt.', completion: long },
      { text: `Explain.\n\n${long}`, prompt: 'Explain.', completion: long },
      {
        text: `Why?\n\n${long}`,
        messages: [
          { role: 'user', content: 'Why?' },
          { role: 'assistant', content: long },
        ],
      },
    ])
  })

  it('takes the newline alone for the end of a line', async () => {
    const text = `one\u2028two\u2029three\u0085four ${long}`
    const content = `{"text":"${text}"}\r\n\n  \n{"text":"${long}"}`
    const { rows } = await split(content, 'rows.jsonl')
    expect(texts(rows)).toEqual([text, long])
    expect(rows.map(({ start, end }) => Buffer.from(content).subarray(start, end).toString().trim())).toEqual([
      `{"text":"${text}"}`,
      `{"text":"${long}"}`,
    ])
  })

  it.each([
    ['not-json', '{"text": "cut off'],
    ['not-json', '[1, 2, 3]'],
    ['not-json', '"a string"'],
    ['wrong-shape', line({ body: long })],
    ['wrong-shape', line({ text: 7 })],
    ['wrong-shape', line({ prompt: 'x', completion: null })],
    ['wrong-shape', line({ messages: [] })],
    ['wrong-shape', line({ messages: [{ role: 'wizard', content: long }] })],
    ['wrong-shape', line({ conversations: [{ from: 'dog', value: long }] })],
    ['empty', line({ text: ' \t ' })],
    ['empty', line({ prompt: long, completion: '' })],
    ['empty', line({ messages: [{ role: 'user', content: long }] })],
    ['too-short', line({ text: 'tiny' })],
    ['too-long', line({ text: 'x'.repeat(LIMITS.maxRowBytes + 1) })],
    ['too-long', line({ text: 'x'.repeat(LIMITS.maxRecordBytes) })],
    ['too-long', line({ messages: Array.from({ length: 257 }, () => ({ role: 'assistant', content: long })) })],
    ['nul-bytes', '{"text":"a \\u0000 in an escape, quite long"}'],
    ['control-characters', '{"text":"a \\u0007 in an escape, quite long"}'],
    ['invalid-utf8', '{"text":"half a pair \\ud800 in an escape"}'],
    ['json-bomb', `{"text":"${long}","x":${'['.repeat(40)}${']'.repeat(40)}}`],
    ['too-many-columns', line(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`c${i}`, 'x'])))],
  ])('refuses a row alone: %s', async (code, bad) => {
    const { rows } = await split(
      `${line({ text: long })}${bad.trimEnd()}\n${line({ text: `${long} Again.` })}`,
      'a.jsonl',
    )
    expect(codes(rows)).toEqual([code])
    expect(texts(rows)).toHaveLength(2)
    expect(rows[1]).toMatchObject({ row: 1, code, detail: expect.any(String) })
  })

  it('refuses a row whose bytes are not UTF-8, or hold a raw NUL, alone', async () => {
    const bytes = Buffer.concat([
      Buffer.from(line({ text: long })),
      Buffer.from('{"text":"'),
      Buffer.from([0xc3, 0x28, 0xa0]),
      Buffer.from(` not utf-8 here"}\n{"text":"raw \0 byte in the middle"}\n`),
      Buffer.from(line({ text: `${long} Last.` })),
    ])
    const { rows } = await split(bytes, 'rows.jsonl')
    expect(codes(rows)).toEqual(['invalid-utf8', 'nul-bytes'])
    expect(texts(rows)).toHaveLength(2)
  })

  it('brackets in strings are no nesting', async () => {
    const { rows } = await split(line({ text: `${'[{'.repeat(500)} \\" ${long}` }), 'rows.jsonl')
    expect(codes(rows)).toEqual([])
  })

  it('gives the same rows whatever the chunks and the pieces, with offsets into the original', async () => {
    const row = fc.oneof(
      fc.record({ text: fc.string({ unit: 'grapheme', minLength: 0, maxLength: 80 }) }),
      fc.record({ prompt: fc.string({ maxLength: 40 }), completion: fc.string({ maxLength: 40 }) }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 200 }),
        async (items, chunkBytes, piece) => {
          const content = Buffer.from(items.map(line).join(''))
          const whole = await split(content, 'rows.jsonl')
          const cut = await split(content, 'rows.jsonl', { limits: { ...LIMITS, chunkBytes }, piece })
          expect(cut.rows).toEqual(whole.rows)
          expect(whole.rows).toHaveLength(items.length)
          whole.rows.forEach(({ start, end, row: number }) => {
            expect(JSON.parse(content.subarray(start, end).toString())).toEqual(items[number])
          })
          expect(cut.chunks[0]?.start).toBe(0)
          expect(cut.chunks.at(-1)?.end).toBe(content.length)
          cut.chunks.slice(1).forEach((chunk, index) => {
            expect(chunk.start).toBe(cut.chunks[index]?.end)
          })
        },
      ),
      { numRuns: 60 },
    )
  })
})
