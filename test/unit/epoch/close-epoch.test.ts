import { beforeAll, describe, expect, it } from 'vitest'
import type { Receipt } from '../../../functions/schema/receipt.ts'
import { type ClosedEpoch, closeEpoch } from '../../../functions/settlement/epoch/close-epoch.ts'
import type { EpochInputs } from '../../../functions/settlement/epoch/inputs.ts'
import { type Keccak, loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { unpackLeaf } from '../../../functions/settlement/epoch/leaf.ts'
import type { LogObject } from '../../../functions/settlement/epoch/receipt-log.ts'
import { account, address, bytesOf, inputsFor, lineOf, logOf, makeReceipt, receiptId } from './epoch-factory.ts'

let keccak: Keccak
beforeAll(async () => {
  keccak = await loadKeccak()
})

const close = (
  receipts: Receipt[],
  change: Parameters<typeof inputsFor>[1] = {},
  objects: LogObject[] = [logOf(receipts)],
) => closeEpoch({ inputs: bytesOf(inputsFor(receipts, change)), previousBalances: new Uint8Array(), objects }, keccak)
const lines = ({ files }: ClosedEpoch) =>
  Buffer.from(files.get('lines.jsonl')!)
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
const leaves = ({ files }: ClosedEpoch) => {
  const packed = files.get('balances.bin')!
  return Array.from({ length: packed.length / 37 }, (_, i) => unpackLeaf(packed, i))
}
const earnedAt = (closed: ClosedEpoch, name: string) =>
  leaves(closed).find(({ kind, address: at }) => kind === 1 && at === address(account(name)))?.amount

/** The inputs of the epoch after `closed`. */
const following = (
  closed: ClosedEpoch,
  receipts: Receipt[],
  change: Parameters<typeof inputsFor>[1] = {},
): EpochInputs =>
  inputsFor(receipts, {
    epoch: closed.epoch.number + 1,
    previous: {
      epoch: closed.epoch.number,
      root: closed.epoch.root,
      total: closed.epoch.total,
      balances: closed.epoch.files['balances.bin']!,
      unassigned: closed.epoch.unassigned,
      unassignedSpent: closed.epoch.unassignedSpent,
    },
    ...change,
  })

const simple = () => [
  makeReceipt({
    name: 1,
    provenance: [
      ['x', 'ann', 600n],
      ['y', 'bob', 200n],
    ],
    totalBits: 1000n,
    influence: [
      ['x', 'ann', 5n],
      ['z', 'cyd', -3n],
    ],
  }),
  makeReceipt({
    name: 2,
    influence: [
      ['z', 'cyd', 7n],
      ['y', 'bob', 1n],
    ],
    totalBits: 1000n,
  }),
]

describe('closing an epoch', () => {
  it('pays every unit of the fees: lines + refunds == billed', async () => {
    const closed = await close(simple())
    const paid = lines(closed).reduce((sum, { amount }) => sum + BigInt(amount), 0n)
    const { billed, refunds, total } = closed.epoch
    expect(paid + BigInt(refunds)).toBe(BigInt(billed))
    expect(BigInt(total)).toBe(paid)
    expect(BigInt(closed.epoch.debits)).toBe(
      leaves(closed)
        .filter(({ kind }) => kind === 2)
        .reduce((sum, { amount }) => sum + amount, 0n),
    )
  })

  it('nets negative influence over the epoch and never shares it out again', async () => {
    const closed = await close(simple())
    const sums = Buffer.from(closed.files.get('sums.jsonl')!).toString()
    expect(sums).toContain('"influence"')
    const positive = await close([simple()[1]!])
    expect(BigInt(lines(closed).find(({ payee }) => payee === account('cyd')).amount)).toBeLessThan(
      BigInt(lines(positive).find(({ payee }) => payee === account('cyd')).amount),
    )
    expect(lines(closed).some(({ as, payee }) => as === 'treasury' && payee === account('treasury'))).toBe(true)
  })

  it('gives the same bytes for late, repeated and reordered lines', async () => {
    const receipts = simple()
    const one = await close(receipts)
    const other = await close(receipts, {}, [logOf([receipts[1]!]), logOf([receipts[1]!, receipts[0]!], 'again.jsonl')])
    expect([...other.files.keys()]).toEqual([...one.files.keys()])
    for (const [name, bytes] of one.files) expect(Buffer.from(other.files.get(name)!).equals(bytes), name).toBe(true)
  })

  it('lets a payee without an address accrue, and posts it once an address is there', async () => {
    const receipts = simple()
    const first = await close(receipts, { homeless: ['ann'] })
    const accrued = first.epoch.unassigned.find(({ payee }) => payee === account('ann'))!
    expect(BigInt(accrued.amount)).toBeGreaterThan(0n)
    expect(earnedAt(first, 'ann')).toBeUndefined()
    expect(BigInt(first.epoch.total)).toBeLessThan(BigInt(first.epoch.debits))
    const next = [makeReceipt({ name: 3, epoch: 2, provenance: [['x', 'ann', 10n]], totalBits: 10n })]
    const second = await closeEpoch(
      {
        inputs: bytesOf(following(first, next)),
        previousBalances: first.files.get('balances.bin')!,
        objects: [logOf(next)],
      },
      keccak,
    )
    const line = lines(second).find(({ payee }) => payee === account('ann'))
    expect(earnedAt(second, 'ann')).toBe(BigInt(accrued.amount) + BigInt(line.amount))
    expect(second.epoch.unassigned).toEqual([])
    expect(BigInt(second.epoch.total)).toBe(BigInt(first.epoch.debits) + BigInt(second.epoch.debits))
  })

  it('keeps what was posted to an earlier address there; a changed address counts for later lines only', async () => {
    const receipts = simple()
    const first = await close(receipts)
    const next = [makeReceipt({ name: 3, epoch: 2, provenance: [['x', 'ann', 10n]], totalBits: 10n })]
    const inputs = following(first, next)
    inputs.accounts = inputs.accounts.map((entry) =>
      entry.accountId === account('ann') ? { ...entry, address: address('new home') } : entry,
    )
    const second = await closeEpoch(
      { inputs: bytesOf(inputs), previousBalances: first.files.get('balances.bin')!, objects: [logOf(next)] },
      keccak,
    )
    expect(earnedAt(second, 'ann')).toBe(earnedAt(first, 'ann'))
    const line = lines(second).find(({ payee }) => payee === account('ann'))
    expect(leaves(second).find(({ address: at }) => at === address('new home'))?.amount).toBe(BigInt(line.amount))
  })

  it('pays by the split that each epoch knows: a changed one counts from a later epoch', async () => {
    const changed = { owner: 5000, stakers: 0, contributors: 5000 }
    const first = await close(simple())
    const early = makeReceipt({ name: 3, split: changed, provenance: [['x', 'ann', 10n]], totalBits: 10n })
    // Epoch 1 knows the terms of then only: the receipt of the new split is refused there.
    await expect(close([...simple(), early], { adapters: inputsFor(simple()).adapters })).rejects.toMatchObject({
      code: 'unknown-terms',
      receiptId: receiptId(3),
    })
    const later = [{ ...early, epoch: 2 }]
    const second = await closeEpoch(
      {
        inputs: bytesOf(following(first, later)),
        previousBalances: first.files.get('balances.bin')!,
        objects: [logOf(later)],
      },
      keccak,
    )
    const owner = (closed: ClosedEpoch) =>
      lines(closed)
        .filter(({ as }) => as === 'owner')
        .reduce((sum, { amount }) => sum + BigInt(amount), 0n)
    const net = (receipts: Receipt[]) => receipts.reduce((sum, { billing }) => sum + BigInt(billing.net), 0n)
    expect(owner(first)).toBe((net(simple()) * 2n) / 10n)
    expect(owner(second)).toBe(net(later) / 2n)
    // What the first epoch posted stays as it was.
    expect(earnedAt(second, 'builder')).toBe(owner(first) + owner(second))
  })

  it('never moves a leaf: old positions keep their addresses', async () => {
    const first = await close(simple())
    const next = [
      makeReceipt({ name: 3, epoch: 2, payer: 'aaa', provenance: [['q', 'aardvark', 10n]], totalBits: 10n }),
    ]
    const second = await closeEpoch(
      {
        inputs: bytesOf(following(first, next)),
        previousBalances: first.files.get('balances.bin')!,
        objects: [logOf(next)],
      },
      keccak,
    )
    const before = leaves(first)
    leaves(second)
      .slice(0, before.length)
      .forEach((leaf, i) => {
        expect([leaf.kind, leaf.address]).toEqual([before[i]!.kind, before[i]!.address])
        expect(leaf.amount).toBeGreaterThanOrEqual(before[i]!.amount)
      })
  })
})

describe('a log that cannot be trusted stops the close and names the receipt', () => {
  const refused = async (
    objects: { name: string; bytes: Uint8Array }[],
    change: Parameters<typeof inputsFor>[1] = {},
  ) =>
    close(simple(), change, objects).then(
      () => expect.unreachable('the close must stop'),
      (error) => error as { code: string; receiptId?: string },
    )
  const raw = (text: string) => [{ name: 'batch.jsonl', bytes: new Uint8Array(Buffer.from(text)) }]
  const [a, b] = simple() as [Receipt, Receipt]
  const edit = (change: (copy: Receipt) => void): Receipt => {
    const copy = structuredClone(a)
    change(copy)
    return copy
  }
  const id = receiptId(1)

  it.each<[string, () => { name: string; bytes: Uint8Array }[], string]>([
    ['torn-line', () => raw(`${lineOf(b)}\n${lineOf(a).slice(0, -20)}`), id],
    ['conflicting-duplicate', () => [logOf([a, b, edit((r) => (r.completedAt = '2026-01-01T00:00:02.000Z'))])], id],
    ['foreign-epoch', () => [logOf([edit((r) => (r.epoch = 2)), b])], id],
    ['invalid-receipt', () => [logOf([edit((r) => (r.billing.fee = '-5')), b])], id],
    ['invalid-receipt', () => [logOf([edit((r) => (r.attribution.pools.owner = String(2n ** 128n))), b])], id],
    ['invalid-receipt', () => [logOf([edit((r) => (r.billing.promptTokens = -1)), b])], id],
    ['not-canonical', () => raw(`${JSON.stringify({ ...a, epoch: 1 })}\n${lineOf(b)}\n`), id],
    ['unknown-adapter', () => [logOf([edit((r) => (r.billing.adapterId = 'f'.repeat(32))), b])], id],
    ['unknown-terms', () => [logOf([edit((r) => (r.billing.confidence = 1)), b])], id],
    ['unknown-account', () => [logOf([edit((r) => (r.billing.payer = account('stranger'))), b])], id],
    ['wrong-fee', () => [logOf([edit((r) => (r.billing.net = '1')), b])], id],
    ['wrong-fee', () => [logOf([edit((r) => (r.billing.fee = '1')), b])], id],
    ['wrong-pools', () => [logOf([edit((r) => (r.attribution.pools.provenance = '1')), b])], id],
    ['wrong-shares', () => [logOf([edit((r) => (r.attribution.unattributed = '1')), b])], id],
    ['wrong-evidence', () => [logOf([edit((r) => (r.attribution.provenance[0]!.bits = '-1')), b])], id],
    ['wrong-evidence', () => [logOf([edit((r) => (r.attribution.totalBits = '1')), b])], id],
    ['sequence-reused', () => [logOf([b, edit((r) => (r.billing.sequence = b.billing.sequence))])], id],
    ['count-differs', () => [logOf([a])], ''],
    [
      'fees-differ',
      () => [
        logOf(
          [a, edit((r) => (r.billing.receiptId = receiptId(9)))].map((r, i) => ({
            ...r,
            billing: { ...r.billing, sequence: i + 1 },
          })),
        ),
      ],
      '',
    ],
    ['not-utf8', () => [{ name: 'x', bytes: new Uint8Array([0xff, 10]) }], ''],
  ])('%s', async (code, objects, named) => {
    const error = await refused(objects(), code === 'fees-differ' ? { ledger: { receipts: 2, fees: '7' } } : {})
    expect({ code: error.code, named: error.receiptId ?? '' }).toEqual({ code, named })
  })

  it('passes over a quarantined receipt, whatever its bytes', async () => {
    const broken = raw(`${lineOf(a).slice(0, -20)}\n${lineOf(b)}\n`)
    const closed = await close(
      [b],
      {
        ...inputsFor(simple()),
        ledger: { receipts: 1, fees: b.billing.fee },
        quarantined: [{ receiptId: id, reason: 'torn' }],
      },
      broken,
    )
    expect(closed.epoch.receipts).toBe(1)
  })
})
