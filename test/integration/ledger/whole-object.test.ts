/** What the attribution worker reads of a shard that an erasure may replace at any time, on the embedded AWS's S3. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { find, readInto } from '../../../functions/attribution/whole-object.store.ts'
import { Objects } from '../../../functions/registry/objects.store.ts'
import { type LedgerBed, ledgerBed } from './ledger-bed.ts'

let bed: LedgerBed
let objects: Objects
beforeAll(async () => {
  bed = await ledgerBed()
  objects = new Objects('data', await bed.bucket('data'))
})
afterAll(() => bed?.stop())

test('ranges of an object are those of the object that was found, or nothing', async () => {
  const large = Buffer.alloc((16 << 20) + 5, 'ab')
  await objects.put('shard', large)
  const found = await find(objects, 'shard')
  expect(found.bytes).toBe(large.length)
  const read = new Uint8Array(found.bytes)
  await readInto(objects, 'shard', found, read)
  expect(Buffer.compare(large, read)).toBe(0)
  const middle = new Uint8Array(3)
  await readInto(objects, 'shard', found, middle, 16 << 20)
  expect(Buffer.from(middle).toString()).toBe('aba')
  await objects.put('shard', 'replaced')
  await expect(readInto(objects, 'shard', found, read)).rejects.toThrow(
    expect.objectContaining({ name: 'PreconditionFailed' }),
  )
  expect((await find(objects, 'shard')).etag).not.toBe(found.etag)
  await expect(find(objects, 'gone')).rejects.toThrow(expect.objectContaining({ code: 'not-found' }))
})
