import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../functions/datanets/formats/limits.ts'
import { codes, plan, split, texts } from './sources.ts'

const long = 'A sentence that is long enough to stand for itself.'
const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`

describe('CSV', () => {
  it('reads quoted fields with delimiters, quotes and newlines, by the names in the header', async () => {
    const tricky = `Line one, with "quotes"\nand a second line; ${long}`
    const { rows } = await split(`id,Text,note\r\n1,${quoted(tricky)},x\r\n2,${long},"y"\r\n`, 'rows.csv')
    expect(texts(rows)).toEqual([tricky, long])
  })

  it('reads prompt and completion, instruction and output, tabs and semicolons', async () => {
    expect(texts((await split(`prompt\tcompletion\nWhy?\t${long}\n`, 'rows.tsv')).rows)).toEqual([`Why?\n\n${long}`])
    expect(texts((await split(`instruction;input;output\nDo;this;${long}\n`, 'rows.csv')).rows)).toEqual([
      `Do\n\nthis\n\n${long}`,
    ])
  })

  it('a quote opens a field only as its first character, also after a newline', async () => {
    const rows = [`A 5" pipe is unquoted text here`, 'quoted, with a\nnewline in it']
    const content = `text\n${rows[0]}\n"${rows[1]}"\n${long}\n`
    expect(texts((await split(content, 'rows.csv')).rows)).toEqual([...rows, long])
    expect(texts((await split(content, 'rows.csv', { limits: { ...LIMITS, chunkBytes: 1 } })).rows)).toEqual([
      ...rows,
      long,
    ])
  })

  it('gives byte offsets of each record', async () => {
    const content = Buffer.from(`text\n"é ${long}"\n${long} two\n`)
    const { rows } = await split(content, 'rows.csv')
    expect(rows.map(({ start, end }) => content.subarray(start, end).toString())).toEqual([
      `"é ${long}"`,
      `${long} two`,
    ])
  })

  it('refuses records that break the rules alone', async () => {
    const { rows } = await split(
      `text,note\n${long},x\n"broken" quote,x\nonly one field\n${long},x,y\n${','.repeat(70)}\n,x\n"${long} end",x\n`,
      'rows.csv',
    )
    expect(codes(rows)).toEqual(['malformed-csv', 'malformed-csv', 'malformed-csv', 'too-many-columns', 'empty'])
    expect(texts(rows)).toEqual([long, `${long} end`])
  })

  it('refuses a file of 1,000 columns, or of none that means something', async () => {
    const wide = Buffer.from(`${Array.from({ length: 1000 }, (_, i) => `c${i}`).join(',')}\n${'1,'.repeat(999)}1\n`)
    await expect(plan(wide, 'wide.csv')).rejects.toMatchObject({ code: 'too-many-columns' })
    const wider = Buffer.from(`${Array.from({ length: 9000 }, (_, i) => `column${i}`).join(',')}\n`)
    await expect(plan(wider, 'wide.csv')).rejects.toMatchObject({ code: 'too-many-columns' })
    await expect(plan(Buffer.from(`a,b\n1,2\n`), 'odd.csv')).rejects.toMatchObject({ code: 'wrong-shape' })
  })

  it('refuses a file whose quote never closes', async () => {
    const limits = { ...LIMITS, maxUnbrokenBytes: 10_000 }
    const bytes = Buffer.from(`text\n"${long}\n${`${long}\n`.repeat(500)}`)
    await expect(plan(bytes, 'open.csv', { limits })).rejects.toMatchObject({ code: 'unbroken-record' })
  })

  it('reads back what was written, whatever the chunks and the pieces', async () => {
    const field = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', '\r', ' ', '🙂'), maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(field, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 50 }),
        async (fields, chunkBytes, piece) => {
          const wanted = fields.map((value) => `${long}${value}`)
          const content = `n,text\n${wanted.map((value, n) => `${n},${quoted(value)}`).join('\n')}`
          const { rows } = await split(content, 'rows.csv', { limits: { ...LIMITS, chunkBytes }, piece })
          expect(texts(rows)).toEqual(wanted)
        },
      ),
      { numRuns: 80 },
    )
  })
})
