import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { Receipt } from '../../../functions/schema/receipt.ts'
import { isCanonical } from '../../../functions/settlement/epoch/canonical-line.ts'
import { type Keccak, loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { takeLists } from '../../../functions/settlement/epoch/long-lists.ts'
import { receiptLogReader } from '../../../functions/settlement/epoch/receipt-log.ts'
import { EpochRefused } from '../../../functions/settlement/epoch/refusal.ts'
import { lineOf, makeReceipt } from './epoch-factory.ts'

const receipt = makeReceipt({
  name: 1,
  provenance: [
    ['x', 'ann', 600n],
    ['y', 'bob', 200n],
  ],
  totalBits: 1000n,
  influence: [
    ['x', 'ann', 5n],
    ['z', 'cyd', -3n],
    ['u', 'dan', 0n],
  ],
})
receipt.attribution.influence[2]!.quarantined = true
const line = lineOf(receipt)

let keccak: Keccak
beforeAll(async () => {
  keccak = await loadKeccak()
})

/** The receipt, or the code of the refusal: by schema and canonical form alone, and as the reader does it. */
const plainly = (text: string): unknown => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'torn-line'
  }
  const parsed = Receipt.safeParse(value)
  if (!parsed.success) return 'invalid-receipt'
  return isCanonical(value, text) ? parsed.data : 'not-canonical'
}
const read = (text: string): unknown => {
  try {
    const { read } = receiptLogReader(1, new Set(), keccak)
    return [...read({ name: 'log', bytes: Buffer.from(`${text}\n`) })][0]!.receipt
  } catch (error) {
    if (error instanceof EpochRefused) return error.code
    throw error
  }
}

describe('the long lists of a line', () => {
  it('are taken out whole', () => {
    const { skeleton, taken } = takeLists(line)
    expect(Object.keys(taken).sort()).toEqual(['influence', 'provenance', 'shares'])
    expect(skeleton).not.toContain('row_')
    expect(read(line)).toEqual(receipt)
  })

  it.each<[string, (text: string) => string]>([
    ['a blank', (text) => text.replace('"score":"5"', '"score": "5"')],
    ['keys in another order', (text) => text.replace(/("cluster":"[^"]+"),("contributor":"[^"]+")/, '$2,$1')],
    ['a leading zero', (text) => text.replace('"score":"5"', '"score":"05"')],
    ['a number', (text) => text.replace('"score":"5"', '"score":5')],
    ['too many digits', (text) => text.replace('"score":"5"', `"score":"${'9'.repeat(40)}"`)],
    ['one more field', (text) => text.replace('"score":"5"', '"score":"5","weight":"1"')],
    ['quarantined false', (text) => text.replace('"quarantined":true', '"quarantined":false')],
    ['a comma after the last', (text) => text.replace('"score":"0"}]', '"score":"0"},]')],
    ['no comma', (text) => text.replace('},{"cluster"', '}{"cluster"')],
    ['the list twice', (text) => text.replace('"methodDigest"', '"influence":[],"methodDigest"')],
    ['the list where it does not belong', (text) => text.replace('"missing":[]', '"missing":[],"shares":[{}]')],
    ['its text in a string', (text) => text.replace('"missing":[]', '"missing":["\\"influence\\":[{\\"a\\""]')],
    ['a list for a number', (text) => text.replace(/"pools":\{"influence":"\d+"/, '"pools":{"influence":[{}]')],
    ['an amount of 2^128', (text) => text.replace(/"amount":"\d+"/, `"amount":"${2n ** 128n}"`)],
    ['an amount of 39 digits', (text) => text.replace(/"amount":"\d+"/, `"amount":"${2n ** 128n - 1n}"`)],
  ])('read as schema and canonical form do: %s', (_, change) => {
    const changed = change(line)
    expect(changed).not.toBe(line)
    expect(read(changed)).toEqual(plainly(changed))
  })

  it('read as schema and canonical form do, whatever is torn out, put in or repeated', () => {
    const cut = fc.record({
      at: fc.nat(line.length),
      length: fc.nat(60),
      put: fc.constantFrom('', '0', '"', ',', ']', '}', ' ', 'é'),
    })
    fc.assert(
      fc.property(cut, ({ at, length, put }) => {
        const changed = line.slice(0, at) + put + line.slice(at + length)
        if (!changed.includes('"receiptId":"rcp_')) return
        const expected = plainly(changed)
        const got = read(changed)
        // Another epoch's stamp is for the reader alone to see.
        if (got !== 'foreign-epoch') expect(got).toEqual(expected)
      }),
      { numRuns: 400 },
    )
  })
})
