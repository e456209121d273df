import { describe, expect, it } from 'vitest'
import { attribute } from '../../../functions/attribution/evidence.ts'
import type { Withdrawn } from '../../../functions/attribution/withdrawals.store.ts'
import type { Billing, Transcript } from '../../../functions/schema/receipt.ts'
import { makeReceipt } from '../epoch/epoch-factory.ts'
import { datanetId, hex, QUOTES, rowId, world } from './world.ts'

const receipt = makeReceipt({ name: 1, status: 'provenance-only' })
const billing: Billing = {
  ...receipt.billing,
  attribution: 'provenance',
  datanets: receipt.billing.datanets.map((datanet) => ({ ...datanet, id: datanetId, version: 1 })),
}
const output = `So it goes: ${QUOTES[0]} And then ${QUOTES[2]} That was ${QUOTES[3]}`
const UNIGRAM = new Uint32Array(256).fill(3 << 16)
const transcript: Transcript = {
  receiptId: billing.receiptId,
  adapterId: billing.adapterId,
  salt: '',
  request: '',
  response: '',
  choices: [
    {
      promptText: 'Say something.',
      promptTokens: [1],
      outputText: output,
      outputTokens: [...Buffer.from(output)].map((id) => ({ id, bytes: 1 })),
    },
  ],
}

const attributed = async (
  shards: number[][],
  withdrawn: Withdrawn = new Map(),
  damage?: (key: string) => boolean,
  bill = billing,
) => {
  const { search, bucket } = world(shards, withdrawn)
  for (const key of [...bucket.objects.keys()]) if (damage?.(key)) bucket.objects.delete(key)
  const { methodDigest, ...rest } = attribute(bill, transcript, await search([output]), UNIGRAM, null)
  return rest
}
/** One contributor a row, however the rows lie: what is left of an attribution when shards have contributors. */
const told = ({ spans, provenance, totalBits }: Awaited<ReturnType<typeof attributed>>) => ({
  spans: spans.map(({ owners, ...span }) => ({ ...span, owners: owners.map(({ row }) => row) })),
  bits: provenance.map(({ cluster, bits }) => [cluster, bits]),
  totalBits,
})

describe('the attribution of an answer', () => {
  it('does not depend on how the rows lie in shards (P15)', async () => {
    const one = told(await attributed([[0, 1, 2, 3]]))
    expect(one.spans.map(({ owners }) => owners)).toEqual([[rowId(0)], [rowId(2)], [rowId(3)]])
    for (const shards of [
      [[0], [1], [2], [3]],
      [
        [3, 1],
        [2, 0],
      ],
      [[0, 1, 2], [3]],
    ])
      expect(told(await attributed(shards))).toEqual(one)
  })

  it('is incomplete, and names the shard, when one cannot be asked; the others still count', async () => {
    const gone = `datanets/${datanetId}/parts/ctr_${hex(1)}/provenance-000.idx`
    const partial = await attributed([[0], [2, 3]], new Map(), (key) => key === gone)
    expect(partial).toMatchObject({ status: 'incomplete', missing: [`provenance shard ${gone}: not-found`] })
    expect(partial.shares.map(({ payee }) => payee)).toEqual([`acc_${hex(0)}`])
    expect(await attributed([[0], [2, 3]])).toMatchObject({ status: 'provenance-only', missing: [] })
  })

  it('changes nothing when a row is deleted that the answer does not quote (P17)', async () => {
    const before = await attributed([
      [0, 1],
      [2, 3],
    ])
    expect(
      await attributed(
        [
          [0, 1],
          [2, 3],
        ],
        new Map([[`ctr_${hex(0)}`, new Set([rowId(1)])]]),
      ),
    ).toEqual(before)
  })

  it('neither names nor pays a deleted row, and leaves its part to nobody else', async () => {
    const before = await attributed([
      [0, 1],
      [2, 3],
    ])
    const after = await attributed(
      [
        [0, 1],
        [2, 3],
      ],
      new Map([[`ctr_${hex(0)}`, new Set([rowId(0)])]]),
    )
    const paid = ({ shares }: typeof after) => new Map(shares.map(({ payee, amount }) => [payee, amount]))
    expect(JSON.stringify(after)).not.toContain(rowId(0))
    expect(paid(after).get(`acc_${hex(0)}`)).toBeUndefined()
    expect(paid(after).get(`acc_${hex(1)}`)).toBe(paid(before).get(`acc_${hex(1)}`))
    expect(BigInt(after.unattributed)).toBeGreaterThan(BigInt(before.unattributed))
  })

  it('does not call common what only later versions flooded: the earliest is paid for it (P19)', async () => {
    const [datanet] = billing.datanets
    const under = (shards: number[][]) =>
      attributed(shards, new Map(), undefined, {
        ...billing,
        datanets: [{ ...datanet!, policy: { ...datanet!.policy, maxClusters: 1 } }],
      })
    const flooded = await under([[0], [4]])
    expect(flooded.shares.map(({ payee }) => payee)).toEqual([`acc_${hex(0)}`])
    expect(flooded.spans.map(({ common, clusterCount, ownerCount }) => [common, clusterCount, ownerCount])).toEqual([
      [false, 2, 2],
    ])
    const together = await under([[0, 4]])
    expect(together.shares).toEqual([])
    expect(together.spans.map(({ common }) => common)).toEqual([true])
  })

  it('marks as common what more clusters hold than the frozen policy allows, and pays nobody for it', async () => {
    const [datanet] = billing.datanets
    const under = (maxClusters: number) =>
      attributed([[0, 4], [2]], new Map(), undefined, {
        ...billing,
        datanets: [{ ...datanet!, policy: { ...datanet!.policy, maxClusters } }],
      })
    const told = ({ spans, shares }: Awaited<ReturnType<typeof under>>) => ({
      common: spans.map(({ common, clusterCount }) => [common, clusterCount]),
      paid: shares.map(({ payee }) => payee).sort(),
    })
    expect(told(await under(1))).toEqual({
      common: [
        [true, 2],
        [false, 1],
      ],
      paid: [`acc_${hex(1)}`],
    })
    expect(told(await under(2))).toEqual({
      common: [
        [false, 2],
        [false, 1],
      ],
      paid: [`acc_${hex(0)}`, `acc_${hex(1)}`],
    })
  })
})
