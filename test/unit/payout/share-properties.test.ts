import fc from 'fast-check'
import { expect } from 'vitest'
import type { Receipt } from '../../../functions/schema/receipt.ts'
import { writeAccounts } from '../../../functions/settlement/epoch/closing.ts'
import { calculateFromSet } from '../../../functions/settlement/epoch/set-calculator.ts'
import { account, inputsFor, makeReceipt, type ReceiptPlan } from '../epoch/epoch-factory.ts'
import { property } from './property.ts'
import type { Rule } from './rule.ts'

const CLUSTERS = 6
/** Cluster k belongs to contributor k % 4. */
const owner = (cluster: number) => `p${cluster % 4}`
const score = fc.bigInt({ min: -1000n, max: 1000n })
const evidence = (value: fc.Arbitrary<bigint>) =>
  fc.uniqueArray(fc.tuple(fc.nat({ max: CLUSTERS - 1 }), value), {
    selector: ([cluster]) => cluster,
    maxLength: CLUSTERS,
  })
const named = (list: [number, bigint][]): [string, string, bigint][] =>
  list.map(([k, value]) => [`c${k}`, owner(k), value])

const plan: fc.Arbitrary<ReceiptPlan> = fc.record({
  name: fc.nat({ max: 1e9 }),
  payer: fc.constantFrom('client', 'other'),
  prompt: fc.nat({ max: 3000 }),
  completion: fc.nat({ max: 3000 }),
  price: fc.constantFrom<[bigint, bigint][]>([1n, 1n], [10n ** 15n, 3n * 10n ** 15n], [7n, 10n ** 9n + 7n]),
  confidence: fc.nat({ max: 1 << 20 }),
  status: fc.constantFrom('full', 'full', 'incomplete'),
  provenance: evidence(fc.bigInt({ min: 1n, max: 10n ** 9n })).map(named),
  influence: evidence(score).map(named),
  split: fc.constantFrom(
    { owner: 2000, stakers: 0, contributors: 8000 },
    { owner: 333, stakers: 334, contributors: 9333, stakersPayee: 'stakers' },
  ),
  datanets: fc.constantFrom(
    [{ name: 'law', tokens: 100 }],
    [
      { name: 'law', tokens: 100, treasury: 'fund' },
      { name: 'defi', tokens: 7 },
    ],
  ),
})
const plans = fc.uniqueArray(plan, { selector: ({ name }) => name, minLength: 1, maxLength: 8 }).map((list) =>
  // One adapter has one set of Datanets.
  list.map((one) => ({
    ...one,
    datanets: list[0]!.datanets!,
    totalBits: one.provenance!.reduce((sum, [, , bits]) => sum + bits, 3n),
  })),
)

const down = ([cluster, contributor, value]: [string, string, bigint, number?]): [string, string, bigint] => [
  cluster,
  contributor,
  -absolute(value),
]
const helped: [string, string, bigint] = ['c0', 'p0', 900n]
/** Everything the same for everybody, so that only the order of registration can decide. */
const ties = plans.map((list) =>
  list.map((one) => ({
    ...one,
    provenance: [],
    influence: one.influence!.map(([c, p]): [string, string, bigint] => [c, p, 1n]),
  })),
)

const calculate = ({ streamCalculator }: Rule, receipts: readonly Receipt[], inputs = inputsFor(receipts)) => {
  const calculator = streamCalculator(inputs)
  for (const receipt of receipts) calculator.add(receipt)
  return calculator.finish()
}
const earned = (accounts: ReturnType<typeof calculate>, payee: string, as = 'contributor') =>
  accounts.lines
    .filter((line) => line.payee === account(payee) && line.as === as)
    .reduce((sum, { amount }) => sum + amount, 0n)
const absolute = (value: bigint) => (value < 0n ? -value : value)
const stream = 'stream-calculator.ts'

property(
  'P1 lines + refunds are the fees, exactly',
  (rule) =>
    fc.assert(
      fc.property(plans, (list) => {
        const receipts = list.map(makeReceipt)
        const { lines, charges } = calculate(rule, receipts)
        const paid =
          lines.reduce((sum, { amount }) => sum + amount, 0n) + charges.reduce((sum, { refunds }) => sum + refunds, 0n)
        expect(paid).toBe(receipts.reduce((sum, { billing }) => sum + BigInt(billing.fee), 0n))
        expect(lines.every(({ amount }) => amount > 0n)).toBe(true)
      }),
    ),
  {
    'largest remainder hands out a unit too few': [
      {
        file: stream,
        from: 'let left = units - amounts.reduce((a, b) => a + b, 0n)',
        to: 'let left = units - amounts.reduce((a, b) => a + b, 1n)',
      },
    ],
    'the residual is forgotten': [{ file: stream, from: 'charge.refunds += part.amount', to: 'charge.refunds += 0n' }],
  },
)

property(
  'P2 a score of zero or less, or no span, earns nothing',
  (rule) =>
    fc.assert(
      fc.property(plans, (list) => {
        const receipts = list.map((one) =>
          makeReceipt({
            ...one,
            influence: one.influence!.map(([c, p, value]) => [c, p, p === 'p0' ? -absolute(value) : value]),
            provenance: one.provenance!.filter(([, p]) => p !== 'p0'),
          }),
        )
        expect(earned(calculate(rule, receipts), 'p0')).toBe(0n)
      }),
    ),
  {
    'negative sums are paid by size': [
      { file: stream, from: '(influence > 0n ? influence : 0n)', to: '(influence > 0n ? influence : -influence)' },
    ],
  },
)

property(
  'P3 permuting ids permutes the payouts',
  (rule) =>
    fc.assert(
      fc.property(plans, (list) => {
        const swap = (list: [string, string, bigint, number?][]): [string, string, bigint][] =>
          list.map(([c, p, value]) => [`x${9 - Number(c.slice(1))}`, `y${9 - Number(p.slice(1))}`, value])
        const before = calculate(rule, list.map(makeReceipt))
        const after = calculate(
          rule,
          list.map((one) =>
            makeReceipt({ ...one, provenance: swap(one.provenance!), influence: swap(one.influence!) }),
          ),
        )
        for (const k of [0, 1, 2, 3])
          expect(absolute(earned(before, `p${k}`) - earned(after, `y${9 - k}`)) <= 1n).toBe(true)
      }),
    ),
  {
    'the cap looks at the id': [
      {
        file: stream,
        from: 'const cap = caps.get(datanetId)!',
        to: "const cap = caps.get(datanetId)! / (effect.cluster < 'row_8' ? 50n : 1n)",
      },
    ],
  },
)

property(
  'P4 scaling all scores of a receipt changes nothing',
  (rule) =>
    fc.assert(
      fc.property(plans, fc.bigInt({ min: 1n, max: 10n ** 12n }), (list, factor) => {
        const scaled = list.map((one) =>
          makeReceipt({ ...one, influence: one.influence!.map(([c, p, value]) => [c, p, value * factor]) }),
        )
        const [a, b] = [list.map(makeReceipt), scaled].map((receipts) => calculate(rule, receipts))
        expect(b!.lines).toEqual(a!.lines)
      }),
    ),
  { 'scores are used as they come': [{ file: stream, from: '(value > 0n ? up : widest)', to: '1000n' }] },
)

property(
  'P5 raising one cluster’s score never lowers its pay',
  (rule) =>
    fc.assert(
      fc.property(plans, fc.nat(), fc.nat(), fc.bigInt({ min: 1n, max: 2000n }), (list, which, whose, more) => {
        const at = which % list.length
        const k = whose % CLUSTERS
        // One contributor a cluster, so that its line is the cluster's pay.
        const alone = (entries: [string, string, bigint, number?][]): [string, string, bigint][] =>
          entries.map(([c, , value]) => [c, c, value])
        const before = list.map((one) => ({
          ...one,
          provenance: alone(one.provenance!),
          influence: alone(one.influence!),
        }))
        const raised = before.map((one, i) => {
          if (i !== at) return one
          const now = one.influence.find(([c]) => c === `c${k}`)?.[2] ?? 0n
          return {
            ...one,
            influence: [
              ...one.influence.filter(([c]) => c !== `c${k}`),
              [`c${k}`, `c${k}`, now + more] as [string, string, bigint],
            ],
          }
        })
        const [low, high] = [before, raised].map((plans) => earned(calculate(rule, plans.map(makeReceipt)), `c${k}`))
        expect(high! + 1n >= low!).toBe(true)
      }),
    ),
  {
    'high scores are dropped as outliers': [
      { file: stream, from: 'if (value !== 0n) at(entry)', to: 'if (value !== 0n && value < 900n) at(entry)' },
    ],
  },
)

property(
  'P6 splitting an owner into many identities never raises the coalition’s total',
  (rule) =>
    fc.assert(
      fc.property(plans, (list) => {
        const sybil = (entries: [string, string, bigint, number?][]): [string, string, bigint][] =>
          entries.map(([c, p, value]) => [c, p === 'p0' ? `sybil ${c}` : p, value])
        const one = earned(calculate(rule, list.map(makeReceipt)), 'p0')
        const split = calculate(
          rule,
          list.map((plan) =>
            makeReceipt({ ...plan, provenance: sybil(plan.provenance!), influence: sybil(plan.influence!) }),
          ),
        )
        const many = ['c0', 'c4'].map((c) => earned(split, `sybil ${c}`))
        expect(many.reduce((a, b) => a + b, 0n) <= one + BigInt(many.length)).toBe(true)
      }),
    ),
  {
    'negative sums are clamped by contributor, not by cluster': [
      { file: stream, from: '(influence > 0n ? influence : 0n)', to: 'influence' },
      {
        file: stream,
        from: 'contributors.map(([, fine]) => fine)',
        to: 'contributors.map(([, fine]) => (fine > 0n ? fine : 0n))',
      },
    ],
  },
)

property(
  'P9, P11 any order and batching of receipts gives the same bytes, in both calculators',
  (rule) =>
    fc.assert(
      fc.property(fc.oneof(plans, ties), fc.nat(), (list, turn) => {
        const receipts = list.map(makeReceipt)
        const inputs = inputsFor(receipts)
        const turned = [
          ...receipts.slice(turn % receipts.length),
          ...receipts.slice(0, turn % receipts.length),
        ].reverse()
        const first = writeAccounts(calculate(rule, receipts, inputs))
        expect(writeAccounts(calculate(rule, turned, inputs))).toEqual(first)
        expect(writeAccounts(calculateFromSet(turned, inputs))).toEqual(first)
      }),
    ),
  {
    'sums are clamped as they run': [
      {
        file: stream,
        from: 'sum.influence += moved.influence',
        to: 'sum.influence = sum.influence + moved.influence > 0n ? sum.influence + moved.influence : 0n',
      },
    ],
    'ties are broken by chance': [
      { file: stream, from: 'a[0])! - order.get(b[0])!', to: 'a[0])! * (Math.random() - 0.5) - order.get(b[0])!' },
    ],
  },
)

property(
  'P10 a small change of one score moves shares by no more than its part of the positives',
  (rule) =>
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: 1n, max: 1000n }), { minLength: 2, maxLength: CLUSTERS }),
        fc.nat(),
        (scores, which) => {
          const receipt = (values: bigint[]) =>
            makeReceipt({
              name: 1,
              confidence: 1 << 20,
              totalBits: 10n,
              influence: values.map((value, k) => [`c${k}`, `c${k}`, value]),
            })
          const nudged = scores.map((value, k) => (k === which % scores.length ? value + 1n : value))
          const pool = BigInt(receipt(scores).attribution.pools.influence)
          const bound = (2n * pool) / scores.reduce((a, b) => a + b, 0n) + 2n
          const [a, b] = [scores, nudged].map((values) => calculate(rule, [receipt(values)]))
          scores.forEach((_, k) => {
            expect(absolute(earned(a!, `c${k}`) - earned(b!, `c${k}`)) <= bound).toBe(true)
          })
        },
      ),
    ),
  {
    'odd scores do not count': [
      { file: stream, from: 'if (value !== 0n) at(entry)', to: 'if (value % 2n === 0n && value !== 0n) at(entry)' },
    ],
  },
)

property(
  'P13 what receipts add to the payer’s side is never more than they cost, whatever else is in the epoch',
  (rule) =>
    fc.assert(
      fc.property(plans, plans, fc.boolean(), fc.boolean(), (others, wash, bleak, full) => {
        // The attacker pays from two wallets, owns the model, p0 and p1, and lowers everybody else where it can.
        const honest = others.map((one) =>
          bleak ? { ...one, provenance: [], influence: one.influence!.map(down) } : one,
        )
        const attack = wash.map((one, i) => ({
          ...one,
          name: `wash ${i}`,
          payer: `attacker ${i % 2}`,
          owner: 'attacker 0',
          platformFee: 0n,
          split: { owner: 2000, stakers: 0, contributors: 8000 },
          datanets: honest[0]!.datanets!,
          ...(full ? { influence: [helped, ...one.influence!.filter(([c]) => c !== 'c0').map(down)] } : {}),
        }))
        const all = [...honest, ...attack].map(makeReceipt)
        const inputs = inputsFor(all)
        const side = (receipts: Receipt[]) => {
          const { lines, charges } = calculate(rule, receipts, inputs)
          const wallets = ['attacker 0', 'attacker 1', 'p0', 'p1'].map(account)
          const earned = lines.filter(({ payee }) => wallets.includes(payee)).map(({ amount }) => amount)
          const refunds = charges.filter(({ client }) => wallets.includes(client)).map((charge) => charge.refunds)
          return [...earned, ...refunds].reduce((a, b) => a + b, 0n)
        }
        const cost = all.slice(honest.length).reduce((sum, { billing }) => sum + BigInt(billing.fee), 0n)
        expect(side(all) - side(all.slice(0, honest.length)) <= cost + 2n).toBe(true)
      }),
    ),
  {
    'what clamping leaves is shared out again': [
      {
        file: stream,
        from: 'contributors.map(([, fine]) => fine),',
        to: 'contributors.map(([, fine]) => { const all = contributors.reduce((sum, c) => sum + c[1], 0n); return all > 0n ? (fine * (units << SHIFT)) / all : 0n }),',
      },
    ],
    'receipts count alike, whatever they paid': [
      { file: stream, from: '(pools.influence << SHIFT) * value', to: '(10n ** 15n << SHIFT) * value' },
    ],
  },
)

property(
  'P13 a payer and the accounts linked to it earn nothing by their own receipts',
  (rule) =>
    fc.assert(
      fc.property(plans, (list) => {
        const receipts = list.map((one) => makeReceipt({ ...one, payer: 'p1', linked: ['p0'] }))
        const accounts = calculate(rule, receipts)
        expect(earned(accounts, 'p0') + earned(accounts, 'p1')).toBe(0n)
      }),
    ),
  {
    'links are not looked at': [
      { file: stream, from: ' || billing.linkedToPayer.includes(effect.contributor)', to: '' },
    ],
    'the payer itself is not looked at': [{ file: stream, from: 'effect.contributor === billing.payer || ', to: '' }],
  },
)

property(
  'P18 one outlier row cannot exceed its cap, up or down',
  (rule) =>
    fc.assert(
      fc.property(plans, fc.integer({ min: 1, max: 5000 }), fc.constantFrom(1n, -1n), (list, capBps, sign) => {
        const receipts = list.map((one) =>
          makeReceipt({
            ...one,
            datanets: [{ name: 'law', tokens: 1, capBps }],
            influence: [['c9', 'outlier', sign * 10n ** 30n], ...one.influence!],
          }),
        )
        const bound = receipts.reduce(
          (sum, { attribution: { pools } }) =>
            sum +
            ((BigInt(pools.provenance) + BigInt(pools.influence) + BigInt(pools.residual)) * BigInt(capBps)) / 10_000n +
            1n,
          1n,
        )
        const { sums } = calculate(rule, receipts)
        expect(earned(calculate(rule, receipts), 'outlier') <= bound).toBe(true)
        for (const { influence } of sums) expect(absolute(influence) <= bound << 20n).toBe(true)
      }),
    ),
  {
    'influence has no cap': [
      {
        file: stream,
        from: 'if (effect.influence > cap - effect.provenance) effect.influence = cap - effect.provenance',
        to: '',
      },
    ],
    'negative influence has no cap': [
      {
        file: stream,
        from: 'if (effect.influence < -cap) effect.influence = -cap',
        to: 'if (effect.influence < -cap) effect.influence = -cap * 3n',
      },
    ],
  },
)
