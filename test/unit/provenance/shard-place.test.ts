import { expect, it } from 'vitest'
import { openIndex } from '../../../functions/attribution/provenance/index.ts'
import { storeShard } from '../../../functions/attribution/shard-place.store.ts'
import { Bucket, QUOTES, rowLines } from './world.ts'

const rowsKey = 'rows.jsonl'
const keys = { indexKey: 'a.idx', filterKey: 'a.filter', tableKey: 'a.rows' }
/** As an erasure leaves them: all bytes of the first row are newlines. */
const whole = rowLines([0, 1])
const erased = Buffer.concat([Buffer.alloc(rowLines([0]).length, '\n'), rowLines([1])])
const build = (bucket: Bucket) => storeShard(bucket as never, rowsKey, { start: 0, end: whole.length, ...keys })
const holds = (bucket: Bucket, text: string) => openIndex(bucket.objects.get('a.idx')!).count(Buffer.from(text))

it('a shard is built of the rows, erased ones left out, and says what it wrote', async () => {
  const bucket = new Bucket()
  bucket.objects.set(rowsKey, erased)
  const { place, bytes } = await build(bucket)
  expect(place).toMatchObject({ rows: 1, ...keys, indexSha256: expect.stringMatching(/^[0-9a-f]{64}$/) })
  expect(bytes.index).toBe(bucket.objects.get('a.idx')!.length)
  expect([holds(bucket, QUOTES[0]!), holds(bucket, QUOTES[1]!)]).toEqual([0, 1])
})

it('what was built of rows that were erased meanwhile does not pass for done, and is built again', async () => {
  const bucket = new Bucket()
  bucket.objects.set(rowsKey, whole)
  const put = bucket.put.bind(bucket)
  bucket.put = async (key, bytes) => {
    // The erasure wrote its rows, and its own shard, before this one is written.
    bucket.objects.set(rowsKey, erased)
    return put(key, bytes)
  }
  await expect(build(bucket)).rejects.toThrow('was replaced')
  await build(bucket)
  expect([holds(bucket, QUOTES[0]!), holds(bucket, QUOTES[1]!)]).toEqual([0, 1])
})
