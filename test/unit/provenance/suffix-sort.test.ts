import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newKernel } from '../../../functions/attribution/provenance/kernel.ts'
import { suffixArray } from '../../../functions/attribution/provenance/suffix-array.ts'

const kernel = newKernel()
const bottom = kernel.heapTop()

/** The kernel's suffix array, by induced sorting alone; what lies behind the text in its memory must not matter: here the text begins anew. */
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

/** What stands before the sorted suffixes, by the kernel's way to an index; every byte 0xff ends a row. Before the text stands another. */
const transformed = (text: Uint8Array): Uint8Array => {
  const rows = 1 + text.filter((byte) => byte === 0xff).length
  kernel.reserve(16)
  const at = kernel.reserve(text.length)
  kernel.reserve(64)
  const starts = kernel.reserve(4 * rows)
  const blocks = (text.length + 63) >> 6
  const [dense, samples, firsts] = [
    kernel.reserve(blocks + 64),
    kernel.reserve(5 * blocks + 256),
    kernel.reserve(4 * rows),
  ]
  const sa = kernel.reserve(4 * (text.length + 128))
  const memory = new Uint8Array(kernel.memory.buffer)
  memory.set(text, at)
  memory.set(text.subarray(0, 64), at + text.length)
  // What sa holds before must not matter either.
  memory.fill(0x5a, sa, sa + 4 * (text.length + 128))
  memory.fill(0, starts, starts + 4 * rows)
  kernel.sortAndTransform(at, text.length, sa, starts, rows, starts, dense, samples, firsts)
  const found = new Uint8Array(kernel.memory.buffer).slice(sa, sa + text.length)
  kernel.release(bottom)
  return found
}

const agrees = (text: Uint8Array): void => {
  const expected = suffixArray(text, 256)
  // By bytes, as toEqual is slow for what is long.
  const bytes = (of: Uint8Array | Int32Array) => Buffer.from(of.buffer, of.byteOffset, of.byteLength)
  const differs = 'differs from the readable form'
  if (!bytes(sorted(text)).equals(bytes(expected))) expect(sorted(text), differs).toEqual(expected)
  const before = Uint8Array.from(expected, (p) => (p === 0 ? 0xff : text[p - 1]!))
  if (!bytes(transformed(text)).equals(bytes(before))) expect(transformed(text), differs).toEqual(before)
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
      agrees(text)
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
    // What ends first among suffixes that go on with zeros stands before them in the list.
    `${Array.from({ length: 60 }, (_, i) => `zab${'\0'.repeat(35 + (i % 7))}c\x02${String.fromCharCode(1 + ((i * 3) % 5))}`).join('')}\x01ab`,
    `${long.repeat(2)}z${'y'.repeat(100)}x${long.repeat(2)}z${'y'.repeat(100)}x`,
    Array.from({ length: 2500 }, (_, i) => `${(i * 7919) % 61} ${long.slice(i % 30, 60)}`).join('\xff'),
  ]
  for (const text of texts) agrees(bytes(text))
})

test('runs as long as rows may be are not read over and over', { timeout: 20_000 }, () => {
  const text = new Uint8Array(3_000_000).fill(97)
  for (const at of [1, 1_000_000, 2_000_000, 2_999_999]) text[at] = 98
  agrees(text)
})
