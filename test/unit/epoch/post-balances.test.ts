import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Accounts } from '../../../functions/settlement/epoch/closing.ts'
import { unpackLeaf } from '../../../functions/settlement/epoch/leaf.ts'
import { postBalances } from '../../../functions/settlement/epoch/post-balances.ts'
import { postByScan } from '../../../functions/settlement/epoch/post-balances-by-scan.ts'
import { account, adapter, address, inputsFor } from './epoch-factory.ts'

const NAMES = ['ann', 'bob', 'cyd', 'dan', 'eve']
const amount = fc.oneof(fc.bigInt({ min: 1n, max: 3n }), fc.bigInt({ min: 1n, max: 2n ** 124n }))
/** Per epoch: lines, charges, and where each account lives (addresses may be shared, changed, missing). */
const epoch = fc.record({
  lines: fc.array(fc.tuple(fc.constantFrom(...NAMES), amount), { maxLength: 6 }),
  charges: fc.uniqueArray(fc.tuple(fc.constantFrom(...NAMES), amount, amount), {
    selector: ([name]) => name,
    maxLength: 4,
  }),
  homes: fc.array(fc.option(fc.constantFrom('h1', 'h2', 'h3', 'h4')), { minLength: 6, maxLength: 6 }),
  /** Whose leaf carries the spending: an escrow client's, the operator's (null), or as the address says. */
  backers: fc.array(fc.constantFrom(undefined, null, address('h1'), address('h5')), { minLength: 6, maxLength: 6 }),
})

describe('posting an epoch to the cumulative balances', () => {
  it('gives the same bytes by index and by scan, keeps every leaf and position, and loses nothing over epochs', () =>
    fc.assert(
      fc.property(fc.array(epoch, { minLength: 1, maxLength: 4 }), (epochs) => {
        let packed: Uint8Array = new Uint8Array()
        let inputs = inputsFor([])
        let [earned, spent] = [0n, 0n]
        for (const { lines, charges, homes, backers } of epochs) {
          inputs = {
            ...inputs,
            accounts: [...NAMES, 'operator'].map((name, i) => ({
              accountId: account(name),
              ...(homes[i] ? { address: address(homes[i]) } : {}),
              ...(backers[i] === undefined ? {} : { client: backers[i] }),
            })),
          }
          const accounts: Accounts = {
            lines: lines.map(([name, value]) => ({
              payee: account(name),
              as: 'contributor',
              adapterId: adapter('a'),
              amount: value,
            })),
            charges: charges.map(([name, fees, back]) => ({ client: account(name), fees: fees + back, refunds: back })),
            sums: [],
          }
          const posted = postBalances(packed, inputs, accounts)
          const scanned = postByScan(packed, inputs, accounts)
          expect({ ...scanned, packed: Buffer.from(scanned.packed).toString('hex') }).toEqual({
            ...posted,
            packed: Buffer.from(posted.packed).toString('hex'),
          })
          for (let i = 0; i < packed.length / 37; i++) {
            const [was, is] = [unpackLeaf(packed, i), unpackLeaf(posted.packed, i)]
            expect([is.kind, is.address]).toEqual([was.kind, was.address])
            expect(is.amount >= was.amount).toBe(true)
          }
          const leaves = Array.from({ length: posted.packed.length / 37 }, (_, i) => unpackLeaf(posted.packed, i))
          const sum = (values: bigint[]) => values.reduce((a, b) => a + b, 0n)
          earned += sum(accounts.lines.map((line) => line.amount))
          spent += sum(accounts.charges.map(({ fees, refunds }) => fees - refunds))
          expect(posted.total).toBe(sum(leaves.filter(({ kind }) => kind === 1).map((leaf) => leaf.amount)))
          expect(posted.total + sum(posted.unassigned.map((waiting) => waiting.amount))).toBe(earned)
          expect(
            sum(leaves.filter(({ kind }) => kind === 2).map((leaf) => leaf.amount)) +
              sum(posted.unassignedSpent.map((waiting) => waiting.amount)),
          ).toBe(spent)
          packed = posted.packed
          inputs = {
            ...inputs,
            previous: {
              ...inputs.previous,
              total: String(posted.total),
              unassigned: posted.unassigned.map(({ payee, amount }) => ({ payee, amount: String(amount) })),
              unassignedSpent: posted.unassignedSpent.map(({ client, amount }) => ({ client, amount: String(amount) })),
            },
          }
        }
      }),
      { numRuns: 200 },
    ))

  it('posts spending to the client that deposited, wherever the account is paid now, and credit to the operator', () => {
    const inputs = inputsFor([], {
      accounts: [
        { accountId: account('ann'), address: address('new home'), client: address('deposited from') },
        { accountId: account('bob'), address: address('bob'), client: null },
        { accountId: account('operator'), address: address('operator') },
      ],
    })
    const charge = (name: string, fees: bigint) => ({ client: account(name), fees, refunds: 0n })
    for (const post of [postBalances, postByScan]) {
      const accounts = { lines: [], charges: [charge('ann', 5n), charge('bob', 7n)], sums: [] }
      const { packed } = post(new Uint8Array(), inputs, accounts)
      const leaves = Array.from({ length: packed.length / 37 }, (_, i) => unpackLeaf(packed, i))
      expect(new Set(leaves.map(({ address, amount }) => `${address} ${amount}`))).toEqual(
        new Set([`${address('deposited from')} 5`, `${address('operator')} 7`]),
      )
    }
  })

  it('takes amounts up to 2^128 - 1 and stops at one more', () => {
    const most = 2n ** 128n - 1n
    const inputs = inputsFor([], { accounts: [{ accountId: account('ann'), address: address('h1') }] })
    const line = (value: bigint) => ({
      payee: account('ann'),
      as: 'contributor' as const,
      adapterId: adapter('a'),
      amount: value,
    })
    for (const post of [postBalances, postByScan]) {
      expect(post(new Uint8Array(), inputs, { lines: [line(most)], charges: [], sums: [] }).total).toBe(most)
      expect(() => post(new Uint8Array(), inputs, { lines: [line(most), line(1n)], charges: [], sums: [] })).toThrow(
        'exceeds 2^128 - 1',
      )
    }
  })
})
