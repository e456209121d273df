import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SAMPLE_EVERY, SEPARATOR } from '../../../functions/attribution/provenance/index-format.ts'
import { newKernel } from '../../../functions/attribution/provenance/kernel.ts'
import { suffixArray } from '../../../functions/attribution/provenance/suffix-array.ts'

const kernel = newKernel()
const bottom = kernel.heapTop()
interface Told {
  transformed: number[]
  samples: number[]
  firsts: number[]
}

/** What the kernel tells of rows, each ended by a separator; row i is told as 1000 + i. */
const told = (text: Uint8Array, starts: number[]): Told & { dense: number[] } => {
  const n = text.length
  const blocks = Math.ceil(n / SAMPLE_EVERY)
  kernel.reserve(16)
  const at = kernel.reserve(n)
  const words = (values: ArrayLike<number>) => {
    const to = kernel.reserve(4 * values.length)
    new Uint32Array(kernel.memory.buffer, to, values.length).set(values)
    return to
  }
  const [from, numbers] = [words(starts), words(starts.map((_, i) => 1000 + i))]
  const [dense, samples, firsts] = [
    kernel.reserve(blocks + 64),
    kernel.reserve(5 * blocks + 256),
    kernel.reserve(4 * starts.length),
  ]
  const sa = kernel.reserve(4 * (n + 128))
  new Uint8Array(kernel.memory.buffer).set(text, at)
  const count = kernel.sortAndTransform(at, n, sa, from, starts.length, numbers, dense, samples, firsts)
  const numbersAt = (to: number, length: number) => [...new Uint32Array(kernel.memory.buffer, to, length)]
  const bits = new Uint8Array(kernel.memory.buffer, dense, (blocks + 7) >> 3)
  const found = {
    transformed: [...new Uint8Array(kernel.memory.buffer, sa, n)],
    samples: numbersAt(samples, count),
    firsts: numbersAt(firsts, starts.length),
    dense: Array.from({ length: blocks }, (_, b) => b).filter((b) => (bits[b >> 3]! >> (b & 7)) & 1),
  }
  kernel.release(bottom)
  return found
}

/** The same out of the readable suffix array; which blocks are dense is taken from the kernel, and each must be allowed to be. */
const expected = (text: Uint8Array, starts: number[], dense: number[]): Told => {
  const order = [...suffixArray(text, 256)]
  const before = (p: number) => (p === 0 ? SEPARATOR : text[p - 1]!)
  const row = (p: number) => 1000 + starts.findLastIndex((start) => start <= p)
  for (const block of dense) {
    const own = order.slice(block * SAMPLE_EVERY, (block + 1) * SAMPLE_EVERY)
    expect(new Set(own.map((p) => Buffer.from(text.subarray(p, p + 24)).toString('hex'))).size).toBe(1)
    expect(new Set(own.map(before)).size).toBeGreaterThanOrEqual(3)
  }
  return {
    transformed: order.map(before),
    samples: order.flatMap((p, i) =>
      i % SAMPLE_EVERY === 0 || dense.includes(Math.floor(i / SAMPLE_EVERY)) ? [row(p)] : [],
    ),
    firsts: order.filter((p) => before(p) === SEPARATOR).map(row),
  }
}

const agrees = (rows: readonly string[]): number => {
  const starts: number[] = []
  let length = 0
  for (const row of rows) {
    starts.push(length)
    length += Buffer.byteLength(row) + 1
  }
  const text = new Uint8Array(Buffer.concat(rows.flatMap((row) => [Buffer.from(row), Buffer.of(SEPARATOR)])))
  const { dense, ...found } = told(text, starts)
  expect(found).toEqual(expected(text, starts, dense))
  return dense.length
}

const words = fc.constantFrom(
  'a',
  'b',
  'ab',
  '\0',
  'zz',
  'the ',
  'quick brown fox ',
  'jumps over the lazy dog; ',
  'y'.repeat(70),
)
const row = fc.array(words, { maxLength: 60 }).map((list) => list.join(''))

test('the transformed text and the rows that are told are those of the readable suffix array', () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 40 }), (rows) => {
      agrees(rows)
    }),
    { numRuns: 300 },
  )
}, 60_000)

test('blocks of one stretch after many different bytes are dense', () => {
  const stretch = 'this stretch of text stands behind many different words'
  expect(
    agrees(Array.from({ length: 400 }, (_, i) => `${String.fromCharCode(97 + (i % 23))}${stretch}`)),
  ).toBeGreaterThan(0)
  expect(
    agrees(Array.from({ length: 130 }, (_, i) => `${String.fromCharCode(97 + (i % 23))}${' '.repeat(200)}`)),
  ).toBeGreaterThan(0)
})

test('rows that begin where blocks are full and not dense are told', () => {
  const starts = ['zebra', 'yes', 'the', 'apple', 'zoo', 'moon']
  agrees(Array.from({ length: 3000 }, (_, i) => `${starts[(i * 7) % 6]} ${(i * 7919) % 3001} ${starts[i % 5]}`))
})
