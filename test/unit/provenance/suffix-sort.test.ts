import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newKernel } from '../../../functions/attribution/provenance/kernel.ts'
import { suffixArray } from '../../../functions/attribution/provenance/suffix-array.ts'

const kernel = newKernel()
const bottom = kernel.heapTop()

/** The kernel's suffix array; what lies behind the text in its memory must not matter: here the text begins anew. */
const sorted = (text: Uint8Array): Int32Array => {
  const at = kernel.reserve(text.length)
  kernel.reserve(64)
  const sa = kernel.reserve(4 * (text.length + 1))
  const memory = new Uint8Array(kernel.memory.buffer)
  memory.set(text, at)
  memory.set(text.subarray(0, 64), at + text.length)
  kernel.sortText(at, text.length, sa)
  const found = new Int32Array(kernel.memory.buffer, sa, text.length).slice()
  kernel.release(bottom)
  return found
}

/** Texts that repeat what stood `period` bytes before, but for a few changes; short alphabets; NUL and 0xff among the bytes. */
const repetitive = fc
  .record({
    bytes: fc.uint8Array({ minLength: 1, maxLength: 1500 }),
    period: fc.integer({ min: 1, max: 200 }),
    mask: fc.constantFrom(0, 1, 3, 0x81, 255),
    changes: fc.array(fc.nat(1500), { maxLength: 5 }),
  })
  .map(({ bytes, period, mask, changes }) => {
    const text = bytes.map((byte) => byte & mask)
    for (let i = period; i < text.length; i++) if (!changes.includes(i)) text[i] = text[i - period]!
    return text
  })

test('suffixes are sorted as the readable form sorts them, whatever repeats', () => {
  fc.assert(
    fc.property(repetitive, (text) => {
      expect(sorted(text)).toEqual(suffixArray(text, 256))
    }),
    { numRuns: 1500 },
  )
}, 60_000)

test('long runs, squares, stretches of many lengths and repeats that reach the end of the text', () => {
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
  const long = 'the quick brown fox jumps over the lazy dog; pack my box with five dozen jugs. '
  const staircase = Array.from({ length: 120 }, (_, i) => `b${'a'.repeat(i)}c`).join('')
  const texts = [
    'a'.repeat(5000),
    'ab'.repeat(3000),
    'abc'.repeat(2000),
    `${'b'.repeat(3000)}a`.repeat(3),
    staircase + staircase,
    long.repeat(40),
    `${long}\0${long}\0\0${long}\0`.repeat(5),
    long.repeat(3) + long.slice(0, 50),
    `${Array.from({ length: 200 }, (_, i) => `zab${'\0'.repeat(60 + (i % 7))}c`).join('')}zab`,
    `${long.repeat(2)}z${'y'.repeat(100)}x${long.repeat(2)}z${'y'.repeat(100)}x`,
    Array.from({ length: 2500 }, (_, i) => `${(i * 7919) % 61} ${long.slice(i % 30, 60)}`).join('\xff'),
  ]
  for (const text of texts) expect(sorted(bytes(text))).toEqual(suffixArray(bytes(text), 256))
})

test('runs as long as rows may be are not read over and over', { timeout: 20_000 }, () => {
  const text = new Uint8Array(3_000_000).fill(97)
  for (const at of [1, 1_000_000, 2_000_000, 2_999_999]) text[at] = 98
  expect(Buffer.compare(Buffer.from(sorted(text).buffer), Buffer.from(suffixArray(text, 256).buffer))).toBe(0)
})
