import { expect, test } from 'vitest'
import {
  buildIndex,
  type IndexRow,
  loadIndexAsync,
  openIndex,
} from '../../../functions/attribution/provenance/index.ts'
import { KERNEL } from '../../../functions/attribution/provenance/kernel/kernel-bytes.ts'
import { compileKernel } from '../../../local/commands/provenance/build-kernel.ts'

const rows: IndexRow[] = Array.from({ length: 40 }, (_, i) => ({
  id: `row ${(i * 7919) % 1000} of ünï\ud83d\ude00`,
  text: `${i} says the quick brown fox jumps over the lazy dog ${i * i}`,
}))
const file = buildIndex(rows)
const code = (code: string) => expect.objectContaining({ code })
const changed = (at: number) => file.map((byte, i) => (i === at ? byte ^ 4 : byte))

test('the same rows give the same bytes; ids come back in their order', () => {
  expect(buildIndex(rows)).toEqual(file)
  const query = new TextEncoder().encode('the quick brown fox jumps over the lazy dog')
  const [span] = openIndex(file).spans(query, { minLength: 32, maxOwners: 99 })
  expect(span!.owners).toEqual(rows.map(({ id }) => id).sort())
})

test('a file that arrives in parts opens the same', async () => {
  const index = await loadIndexAsync(file.length, async (memory) => {
    for (let at = 0; at < file.length; at += 100) {
      await Promise.resolve()
      memory.set(file.subarray(at, at + 100), at)
    }
  })
  expect(index.count(new TextEncoder().encode('lazy dog'))).toBe(40)
})

test('foreign, newer, truncated and corrupt files are refused, whichever byte is hurt', () => {
  expect(() => openIndex(new Uint8Array())).toThrow(code('INDEX_FOREIGN'))
  expect(() => openIndex(new TextEncoder().encode('{"not":"an index"}'.repeat(9)))).toThrow(code('INDEX_FOREIGN'))
  const newer = file.slice()
  newer[8]!++
  expect(() => openIndex(newer)).toThrow(code('INDEX_NEWER'))
  const older = file.slice()
  older[8]!--
  expect(() => openIndex(older)).toThrow(code('INDEX_FOREIGN'))
  for (const length of [9, 63, 64, 65, file.length - 1])
    expect(() => openIndex(file.subarray(0, length))).toThrow(code('INDEX_TRUNCATED'))
  expect(() => openIndex(Buffer.concat([file, Buffer.of(0)]))).toThrow(code('INDEX_CORRUPT'))
  for (let at = 12; at < file.length; at++) expect(() => openIndex(changed(at))).toThrow(code('INDEX_CORRUPT'))
})

test('rows that cannot be indexed are refused', () => {
  expect(() => buildIndex([...rows, rows[3]!])).toThrow(code('ROW_REPEATED'))
  expect(() => buildIndex([{ id: 'a', text: '\ud800' }])).toThrow(code('ROW_NOT_UNICODE'))
  expect(() => buildIndex([{ id: '\udc00', text: '' }])).toThrow(code('ROW_NOT_UNICODE'))
})

test('the kernel is what kernel/*.as compile to', () => {
  expect(Buffer.from(compileKernel()).equals(KERNEL)).toBe(true)
}, 120_000)
