import { readFileSync, writeFileSync } from 'node:fs'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { expect, test } from 'vitest'
import { LIMITS } from '../../../functions/datanets/formats/limits.ts'
import { rowLine, rowRecord } from '../../../functions/datanets/versions/row-record.ts'
import { split } from './sources.ts'

/**
 * Rows of every shape that ingestion knows, as they stand in rows.jsonl. `test/vectors/ingested-rows.jsonl` is read by
 * the training image's tests: what one side accepts the other must be able to train on. UPDATE_VECTORS=1 writes it anew.
 */
const VECTORS = new URL('../../vectors/ingested-rows.jsonl', import.meta.url)
const long = 'The register keeps every accepted row together with the name of the contributor who brought it.'
const lines = (...values: unknown[]) => values.map((value) => JSON.stringify(value)).join('\n')

const UPLOADS: [string, string | Uint8Array][] = [
  ['texts.jsonl', lines({ text: `${long} One.` }, { text: 'é 漢字 🙂 and an odd \u2028 separator' })],
  [
    'messages.jsonl',
    lines(
      {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Who?' },
          { role: 'assistant', content: 'The curator.' },
        ],
      },
      {
        messages: [
          { role: 'user', content: 'Look it up.' },
          { role: 'assistant', content: 'I ask the register.' },
          { role: 'tool', content: 'register: 3 rows' },
          { role: 'assistant', content: 'There are three rows.' },
          { role: 'user', content: 'Thank you.' },
        ],
      },
    ),
  ],
  [
    'pairs.jsonl',
    lines(
      { prompt: 'What is a row?', completion: 'The unit that is paid.' },
      { prompt: '', completion: 'Without a question.' },
    ),
  ],
  [
    'alpaca.jsonl',
    lines(
      { instruction: 'Shorten.', input: 'A long sentence.', output: 'Short.' },
      { instruction: 'Say yes.', output: 'Yes.' },
    ),
  ],
  [
    'sharegpt.jsonl',
    lines({
      conversations: [
        { from: 'human', value: 'Hi' },
        { from: 'gpt', value: 'Hello.' },
        { from: 'human', value: 'Bye' },
      ],
    }),
  ],
  ['rows.csv', `prompt,completion\n"What is an epoch?","A period of settlement."\n`],
  ['texts.csv', `text\n"${long} From a table."\n`],
  [
    'rows.parquet',
    new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: 'text', data: [`${long} From columns.`], type: 'STRING' }] }),
    ),
  ],
  ['page.md', `# Rows\n\n${long} In Markdown.\n`],
  ['page.txt', `${long} In plain text.\n`],
]

test('every accepted shape is a row that the training image is tested on', async () => {
  const made: string[] = []
  for (const [ticket, [filename, content]] of UPLOADS.entries()) {
    const { rows } = await split(content, filename, { limits: { ...LIMITS, minRowBytes: 1 } })
    for (const row of rows) {
      if (!('content' in row)) throw new Error(`${filename}: ${row.code}`)
      const { content: said, ...place } = row
      made.push(
        rowLine(
          rowRecord(
            {
              contribution: `ctr_${String(ticket).padStart(24, '0')}`,
              contributor: `acc_${'1'.repeat(24)}`,
              ticket,
              ...place,
            },
            said,
          ),
        ),
      )
    }
  }
  const text = `${made.join('\n')}\n`
  if (process.env['UPDATE_VECTORS']) writeFileSync(VECTORS, text)
  expect(made).toHaveLength(14)
  expect(readFileSync(VECTORS, 'utf8')).toBe(text)
})
