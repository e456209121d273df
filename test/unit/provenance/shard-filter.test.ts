import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildFilter, openFilter } from '../../../functions/attribution/provenance/index.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const unit = fc.constantFrom('a', 'b', 'é', '😀', '\u0000')
const rows = fc.array(fc.string({ unit, maxLength: 200 }), { maxLength: 12 })
/** The same noise on every run: no 17 bytes of it repeat. */
const noise = (seed: number, length: number) => {
  let state = seed >>> 0
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return 97 + ((state >>> 24) % 26)
  })
}

test('no span of minLength bytes is ever missed', () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 8, max: 60 }), fc.nat(), fc.nat(40), (texts, minLength, at, before) => {
      const filter = openFilter(buildFilter(texts, { minLength }))
      for (const text of texts.map(bytes)) {
        if (text.length < minLength) continue
        const start = at % (text.length - minLength + 1)
        const query = new Uint8Array(before + minLength + 9).fill(120)
        query.set(text.subarray(start, start + minLength), before)
        expect(filter.mayHold(query, minLength)).toBe(true)
      }
    }),
    { numRuns: 400 },
  )
})

test('strangers are ruled out, but for a few in a thousand windows', () => {
  const text = Buffer.from(noise(1, 200_000)).toString()
  const file = buildFilter([text])
  const filter = openFilter(file)
  const tries = Array.from({ length: 300 }, (_, i) => filter.mayHold(noise(7_919 * i + 2, 2200), 32))
  expect(tries.filter(Boolean).length).toBeLessThan(30)
  expect(file.length / text.length).toBeLessThan(0.17)
  expect(filter.mayHold(noise(3, 31), 32)).toBe(false)
  expect(filter.mayHold(noise(3, 31), 31)).toBe(true) // shorter than it was built for: cannot be ruled out
})

test('the order and the repetition of rows do not show', () => {
  const [a, b] = [Buffer.from(noise(1, 900)).toString(), Buffer.from(noise(2, 700)).toString()]
  expect(buildFilter([a, b, a])).toEqual(
    buildFilter([
      { id: 'b', text: b },
      { id: 'a', text: a },
    ]),
  )
})

test('damaged files are refused', () => {
  const file = buildFilter([Buffer.from(noise(1, 900)).toString()])
  const changed = (at: number) => file.map((byte, i) => (i === at ? byte ^ 1 : byte))
  expect(() => openFilter(file.subarray(0, 20))).toThrow(expect.objectContaining({ code: 'INDEX_TRUNCATED' }))
  expect(() => openFilter(file.subarray(0, -1))).toThrow(expect.objectContaining({ code: 'INDEX_TRUNCATED' }))
  expect(() => openFilter(changed(0))).toThrow(expect.objectContaining({ code: 'INDEX_FOREIGN' }))
  expect(() => openFilter(changed(11))).toThrow(expect.objectContaining({ code: 'INDEX_NEWER' }))
  for (let at = 12; at < file.length; at++)
    expect(() => openFilter(changed(at))).toThrow(expect.objectContaining({ code: 'INDEX_CORRUPT' }))
})

test('a filter knows whose it is; one of version 1, which told nothing, is read as before', () => {
  const text = Buffer.from(noise(1, 900)).toString()
  const file = buildFilter([text], { shard: 'a.filter' })
  expect(openFilter(file, 'a.filter').mayHold(Buffer.from(text), 32)).toBe(true)
  expect(() => openFilter(file, 'b.filter')).toThrow(expect.objectContaining({ code: 'INDEX_FOREIGN' }))
  const old = Buffer.concat([file.subarray(0, 36), file.subarray(40)])
  old.writeUInt32LE(1, 8)
  old.writeUInt32LE(crc32(old.subarray(0, 32)), 32)
  expect(openFilter(old, 'b.filter').mayHold(Buffer.from(text), 32)).toBe(true)
})
