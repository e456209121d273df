import { describe, expect, it } from 'vitest'
import { buildShard } from '../../../functions/attribution/build-shard.ts'
import { datanetId, hex, QUOTES, rowId, rowLines, versionKey, world } from './world.ts'

type Found = Awaited<ReturnType<ReturnType<typeof world>['search']>>
const owners = ({ shards }: Found, output: string) =>
  shards.flatMap(({ spans }) => (spans.get(output) ?? []).flatMap((span) => span.owners))

describe('a search of provenance shards', () => {
  it('loads only shards whose filter lets an output pass, and each once', async () => {
    const { search, bucket, key } = world([[0], [1], [2, 3]])
    const found = await search([QUOTES[1]!, `He said: ${QUOTES[1]}`])
    expect(owners(found, QUOTES[1]!)).toEqual([rowId(1)])
    expect(found).toMatchObject({ missing: [], loads: { shards: 3, ruledOut: 2, loaded: 1 } })
    expect(found.shards.map(({ key }) => key)).toHaveLength(3)
    await search([QUOTES[1]!])
    expect(bucket.reads.filter((read) => read.endsWith('.idx'))).toEqual([key(1)])
  })

  it('knows whose every row is, also in a shard that was ruled out', async () => {
    const { shards } = await world([[0], [1], [2, 3]]).search(['nothing of it stands anywhere in these few rows'])
    expect(shards.map(({ rows }) => rows.get(rowId(3)))).toEqual([
      undefined,
      undefined,
      { cluster: rowId(3), contributor: `acc_${hex(2)}`, sequence: 103 },
    ])
  })

  it('names a shard that is gone, cut, foreign or of a newer format, and answers from the others', async () => {
    const damages: [string, (index: Uint8Array) => Uint8Array | undefined, string][] = [
      ['gone', () => undefined, 'not-found'],
      ['cut', (index) => index.slice(0, -9), 'INDEX_TRUNCATED'],
      ['changed', (index) => index.map((byte, i) => (i === index.length - 3 ? byte ^ 1 : byte)), 'INDEX_CORRUPT'],
      ['foreign', () => Buffer.from('a text that is no index at all'), 'INDEX_FOREIGN'],
    ]
    for (const [name, damage, code] of damages) {
      const { search, bucket, key } = world([[0], [1]])
      const damaged = damage(bucket.objects.get(key(0))!)
      if (damaged) bucket.objects.set(key(0), damaged)
      else bucket.objects.delete(key(0))
      const found = await search([QUOTES[0]!, QUOTES[1]!])
      expect(found.missing, name).toEqual([`provenance shard ${key(0)}: ${code}`])
      expect(owners(found, QUOTES[1]!), name).toEqual([rowId(1)])
    }
  })

  it('names a shard whose index is another shard’s, whole as it is', async () => {
    const { search, bucket, key } = world([[0], [1]])
    bucket.objects.set(key(0), bucket.objects.get(key(1))!)
    bucket.objects.set(key(0).replace('.idx', '.filter'), bucket.objects.get(key(1).replace('.idx', '.filter'))!)
    const found = await search([QUOTES[1]!])
    expect(found.missing).toEqual([`provenance shard ${key(0)}: INDEX_FOREIGN`])
    expect(owners(found, QUOTES[1]!)).toEqual([rowId(1)])
  })

  it('names a damaged row table and a missing version too', async () => {
    const { search, bucket, key } = world([[0], [1]])
    bucket.objects.set(key(0).replace('.idx', '.rows'), Buffer.from('no table'))
    expect((await search([QUOTES[0]!])).missing).toEqual([`provenance shard ${key(0)}: conflict`])
    const flipped = world([[0], [1]])
    const tableKey = flipped.key(0).replace('.idx', '.rows')
    const table = Buffer.from(flipped.bucket.objects.get(tableKey)!)
    table[table.length - 1]! ^= 1
    flipped.bucket.objects.set(tableKey, table)
    expect((await flipped.search([QUOTES[0]!])).missing).toEqual([`provenance shard ${flipped.key(0)}: conflict`])
    const empty = world([[0]])
    empty.bucket.objects.delete(versionKey)
    expect((await empty.search([QUOTES[0]!])).missing).toEqual([`version ${datanetId}@1: not-found`])
  })

  it('loads the shard when its filter cannot be read: a filter only spares loads', async () => {
    const { search, bucket, key } = world([[0]])
    bucket.objects.set(key(0).replace('.idx', '.filter'), Buffer.from('no filter'))
    const found = await search([QUOTES[0]!])
    expect(found).toMatchObject({ missing: [], loads: { loaded: 1 } })
    expect(owners(found, QUOTES[0]!)).toEqual([rowId(0)])
  })

  it('does not let the filter of another shard rule out what this one holds', async () => {
    const { search, bucket, key } = world([[0], [1]])
    bucket.objects.set(key(0).replace('.idx', '.filter'), bucket.objects.get(key(1).replace('.idx', '.filter'))!)
    const found = await search([QUOTES[0]!])
    expect(found).toMatchObject({ missing: [], loads: { loaded: 1, ruledOut: 1 } })
    expect(owners(found, QUOTES[0]!)).toEqual([rowId(0)])
  })

  it('throws for a passing fault, so that the batch comes again, and gives in on the last try', async () => {
    const { search, bucket, key } = world([[0]])
    bucket.fault = Object.assign(new Error('slow down'), { name: 'SlowDown' })
    await expect(search([QUOTES[0]!])).rejects.toThrow('slow down')
    expect((await search([QUOTES[0]!], true)).missing).toEqual([`provenance shard ${key(0)}: SlowDown`])
    bucket.fault = undefined
    expect((await search([QUOTES[0]!])).missing).toEqual([])
  })

  it('reads one object, not pieces of two: a shard that an erasure replaces meanwhile is no damaged one', async () => {
    const { search, bucket, key } = world([[0, 1]])
    const erased = buildShard(rowLines([1]), key(0).replace('.idx', '.filter')).index
    bucket.meanwhile = (read) => {
      if (read === key(0)) bucket.objects.set(read, erased)
    }
    await expect(search([QUOTES[1]!])).rejects.toThrow('replaced')
    expect(owners(await search([QUOTES[1]!]), QUOTES[1]!)).toEqual([rowId(1)])
  })

  it('does not open a shard that would not fit into the function', async () => {
    const { search, key } = world([[0]], new Map(), 64)
    expect((await search([QUOTES[0]!])).missing).toEqual([`provenance shard ${key(0)}: payload-too-large`])
  })

  it('counts all owners of a stretch, and names no more than a policy needs to call it common', async () => {
    const many = Array.from({ length: 3000 }, (_, i) => i)
    const named = async (maxClusters?: number) => {
      const { search, bucket, key } = world([[0]], new Map(), undefined, maxClusters ? { maxClusters } : undefined)
      const texts = many.map((i) => `${i} (${QUOTES[0]})`)
      const built = buildShard(rowLines(many, 0, texts), key(0).replace('.idx', '.filter'))
      for (const [name, bytes] of Object.entries({ idx: built.index, filter: built.filter, rows: built.table }))
        bucket.objects.set(key(0).replace('idx', name), bytes)
      const [span] = (await search([QUOTES[0]!])).shards[0]!.spans.get(QUOTES[0]!)!
      return [span!.owners.length, span!.ownerCount]
    }
    expect(await named()).toEqual([1024, 3000])
    expect(await named(2000)).toEqual([2001, 3000])
    expect(await named(10_000)).toEqual([3000, 3000])
  })

  it('gives the same answer with room for one shard as with room for all', async () => {
    const outputs = [`${QUOTES[0]} ${QUOTES[3]}`, QUOTES[2]!]
    const told = async (shelfBytes?: number) => {
      const { search } = world([[0, 1], [2], [3]], new Map(), shelfBytes)
      await search(outputs)
      const found = await search(outputs)
      return { missing: found.missing, owners: outputs.map((output) => owners(found, output)) }
    }
    expect(await told(900)).toEqual(await told())
  })
})

describe('withdrawn rows', () => {
  it('are neither named nor known, and the others stay as they were', async () => {
    const before = await world([[0, 1], [2]]).search([QUOTES[0]!, QUOTES[1]!, QUOTES[2]!])
    const after = await world([[0, 1], [2]], new Map([[`ctr_${hex(0)}`, new Set([rowId(0)])]])).search([
      QUOTES[0]!,
      QUOTES[1]!,
      QUOTES[2]!,
    ])
    expect(owners(before, QUOTES[0]!)).toEqual([rowId(0)])
    expect(owners(after, QUOTES[0]!)).toEqual([])
    expect(after.shards[0]?.rows.get(rowId(0))).toBeUndefined()
    for (const output of [QUOTES[1]!, QUOTES[2]!])
      expect(after.shards.map(({ spans }) => spans.get(output))).toEqual(
        before.shards.map(({ spans }) => spans.get(output)),
      )
  })

  it('change nothing when they are another contribution’s, or nobody’s (P17)', async () => {
    const outputs = [QUOTES[0]!, QUOTES[2]!]
    const before = await world([[0, 1], [2]]).search(outputs)
    const foreign = new Map([[`ctr_${hex(1)}`, new Set([rowId(0), rowId(77)])]])
    const after = await world([[0, 1], [2]], foreign).search(outputs)
    expect(after.shards.map(({ spans }) => spans)).toEqual(before.shards.map(({ spans }) => spans))
    expect(after.shards[0]?.rows.get(rowId(0))).toEqual(before.shards[0]?.rows.get(rowId(0)))
  })

  it('of a whole contribution cost no read of it', async () => {
    const { search, bucket } = world([[0, 1], [2]], new Map([[`ctr_${hex(0)}`, null]]))
    const found = await search([QUOTES[0]!, QUOTES[2]!])
    expect(found.shards.map(({ datanetId: _, key }) => key)).toHaveLength(1)
    expect(owners(found, QUOTES[0]!)).toEqual([])
    expect(bucket.reads.some((key) => key.includes(`ctr_${hex(0)}`))).toBe(false)
  })
})
