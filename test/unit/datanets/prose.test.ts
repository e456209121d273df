import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutProse } from '../../../functions/datanets/formats/cut-prose.ts'
import { LIMITS } from '../../../functions/datanets/formats/limits.ts'
import { codes, split, texts } from './sources.ts'

const sentence = 'The quick brown fox jumps over the lazy dog near the river bank. '
const paragraph = sentence.repeat(3).trim()

describe('plain text and Markdown', () => {
  it('makes a row of a paragraph and joins a heading to what it heads', async () => {
    const { rows } = await split(`1. Definitions\n\n${paragraph}\n\n${paragraph} Second.\n`, 'licence.txt')
    expect(texts(rows)).toEqual([`1. Definitions\n\n${paragraph}`, `${paragraph} Second.`])
  })

  it('ends a paragraph at a Markdown heading, and never inside a code fence', async () => {
    const fence = `\`\`\`sh\nfirst\n\n# not a heading\n\n${'x '.repeat(60)}\n\`\`\``
    const { rows } = await split(`${paragraph}\n## Next\n${paragraph}\n\n${fence}\n\n${paragraph}\n`, 'page.md')
    expect(texts(rows)).toEqual([paragraph, `## Next\n${paragraph}`, fence, paragraph])
  })

  it('cuts a long paragraph at sentences into rows of at most 2 KiB', async () => {
    const { rows } = await split(sentence.repeat(100), 'long.txt')
    expect(rows.length).toBeGreaterThanOrEqual(4)
    for (const text of texts(rows)) {
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LIMITS.proseRowBytes)
      expect(Buffer.byteLength(text)).toBeGreaterThan(LIMITS.proseRowBytes / 2)
      expect(text).toMatch(/^The quick.*bank\.$/s)
    }
  })

  it('refuses the block that is not UTF-8, or holds a NUL, and keeps the others', async () => {
    const bytes = Buffer.concat([
      Buffer.from(`${paragraph}\n\n`),
      Buffer.from([0xff, 0xfe, 0xfd]),
      Buffer.from(`${paragraph}\n\n${paragraph} \0 inside\n\n${paragraph} Last one.`),
    ])
    const { rows } = await split(bytes, 'a.txt')
    expect(codes(rows)).toEqual(['invalid-utf8', 'nul-bytes'])
    expect(texts(rows)).toEqual([paragraph, `${paragraph} Last one.`])
  })

  it('a text is exactly the bytes between its offsets, no longer than a row, and nothing but white space is left out', async () => {
    const block = fc.array(
      fc.constantFrom('word', 'Ende.', 'naïve', '日本語。', '🙂', 'x'.repeat(70), '#', '```', '\r'),
      {
        minLength: 1,
        maxLength: 120,
      },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(block, { minLength: 1, maxLength: 12 }),
        fc.constantFrom('\n\n', '\n', '\n \t\n'),
        fc.constantFrom('a.txt', 'a.md'),
        fc.integer({ min: 1, max: 3000 }),
        async (blocks, gap, filename, chunkBytes) => {
          const content = Buffer.from(`text first: ${blocks.map((words) => words.join(' ')).join(gap)}`)
          const { rows } = await split(content, filename, { limits: { ...LIMITS, chunkBytes }, piece: 100 })
          let left = ''
          let at = 0
          for (const row of rows) {
            expect(row.start).toBeGreaterThanOrEqual(at)
            left += content.subarray(at, row.start).toString()
            at = row.end
            expect(row.end - row.start).toBeLessThanOrEqual(LIMITS.proseRowBytes)
            if ('content' in row) expect(row.content.text).toBe(content.subarray(row.start, row.end).toString())
          }
          expect((left + content.subarray(at).toString()).trim()).toBe('')
        },
      ),
      { numRuns: 150 },
    )
  })

  it('cuts between characters where there is no border at all', () => {
    const bytes = Buffer.from('日'.repeat(100))
    const pieces = [...cutProse(bytes, 0, bytes.length, 50)]
    expect(pieces.map(({ start, end }) => bytes.subarray(start, end).toString()).join('')).toBe('日'.repeat(100))
    for (const { start, end } of pieces) {
      expect(end - start).toBeLessThanOrEqual(50)
      expect(bytes.subarray(start, end).toString()).not.toContain('�')
    }
  })

  it('cuts a text without any blank line into chunks', async () => {
    const content = 'word '.repeat(300_000)
    const { chunks, rows } = await split(content, 'endless.txt', { limits: { ...LIMITS, chunkBytes: 256 * 1024 } })
    expect(chunks.length).toBeGreaterThan(1)
    expect(texts(rows).join(' ').replaceAll(/\s+/g, ' ').trim()).toBe(content.trim())
  })
})
