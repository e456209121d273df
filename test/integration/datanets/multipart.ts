import { describe, expect, test } from 'vitest'
import { Records } from '#registry/records.store'
import { DatanetBook } from '../../../functions/datanets/datanet-book.store.ts'
import { PresignedUploads } from '../../../functions/datanets/presigned-uploads.store.ts'
import { targetOf } from '../../../functions/datanets/uploads/upload-plan.ts'
import { call, sha256 } from './platform.ts'
import { acceptedRows, announce, sentence, settled, type World } from './world.ts'

/** 17 MiB in three chunks and two parts, most of it in a field that is not read: the texts are short. */
const large = (): Buffer =>
  Buffer.from(
    Array.from(
      { length: 600 },
      (_, n) => `${JSON.stringify({ text: sentence(n * 104_729), source: `${n}`.repeat(10_000).slice(0, 31_000) })}\n`,
    ).join(''),
  )

export const multipart = (world: () => World) =>
  describe('uploads in parts', () => {
    test('above 100 MB an upload is planned in parts', async () => {
      const { body } = await announce(world(), { length: 101 * 1024 * 1024 } as Buffer, 'big.jsonl', {
        sha256: 'a'.repeat(64),
      })
      expect(body.put).toBeUndefined()
      expect(body.multipart.parts.map(({ start, end }: { start: number; end: number }) => end - start)).toEqual([
        ...Array(6).fill(16 * 1024 * 1024),
        5 * 1024 * 1024,
      ])
    })

    test('parts are sent, lost, asked for again and put together; then they are ingested', async () => {
      const { contributor, datanetId, platform } = world()
      const bytes = large()
      const id = `ctr_${'b'.repeat(24)}`
      const contribution = {
        id,
        datanetId,
        contributor: contributor.accountId,
        state: 'awaiting-upload' as const,
        filename: 'large.jsonl',
        contentType: 'application/jsonl',
        bytes: bytes.length,
        sha256: sha256(bytes),
        createdAt: new Date().toISOString(),
      }
      // As the door announces it, below the size at which it would choose parts by itself.
      const uploads = new PresignedUploads(platform.outputs['Data'] as string)
      const uploadId = await uploads.startMultipart(targetOf(contribution))
      const book = new DatanetBook(new Records(platform.outputs['Registry'] as string))
      await book.announce({ ...contribution, uploadId })

      const params = { datanetId, contributionId: id }
      const parts = async () => (await call('resume-upload', contributor, { params })).body.multipart.parts
      const send = ({ url, start, end }: { url: string; start: number; end: number }, body = bytes) =>
        fetch(url, { method: 'PUT', body: body.subarray(start, end) as unknown as BodyInit })
      const [one, two] = await parts()
      expect((await send(one)).status).toBe(200)
      expect(await call('complete-upload', contributor, { params })).toMatchObject({
        status: 409,
        body: { code: 'upload-missing', detail: expect.stringContaining('2') },
      })
      expect((await send({ ...two, end: two.end - 1 })).status).toBeGreaterThanOrEqual(400)
      const resumed = await parts()
      expect(resumed.map(({ done }: { done: boolean }) => done)).toEqual([true, false])
      expect((await send(resumed[1])).status).toBe(200)
      expect((await call('complete-upload', contributor, { params })).status).toBe(200)

      const { state, rowsAccepted, rowsRejected } = await settled(world(), id)
      expect({ state, rows: rowsAccepted + rowsRejected }).toEqual({ state: 'accepted', rows: 600 })
      const rows = await acceptedRows(platform, datanetId, id)
      expect(rows).toHaveLength(rowsAccepted)
      for (const row of rows) expect(JSON.parse(bytes.subarray(row.start, row.end).toString()).text).toBe(row.text)
      expect(rows.at(-1)?.end).toBeGreaterThan(16 * 1024 * 1024)
      expect((await call('complete-upload', contributor, { params })).body.state).toBe('accepted')
    }, 180_000)

    test('the whole is checked: parts that together are something else are refused', async () => {
      const { contributor, datanetId, platform } = world()
      const bytes = Buffer.from('{"text":"These are other bytes than those that were announced."}\n')
      const id = `ctr_${'c'.repeat(24)}`
      const contribution = {
        id,
        datanetId,
        contributor: contributor.accountId,
        state: 'awaiting-upload' as const,
        filename: 'small.jsonl',
        contentType: 'application/jsonl',
        bytes: bytes.length,
        sha256: 'd'.repeat(64),
        createdAt: new Date().toISOString(),
      }
      const uploads = new PresignedUploads(platform.outputs['Data'] as string)
      const uploadId = await uploads.startMultipart(targetOf(contribution))
      await new DatanetBook(new Records(platform.outputs['Registry'] as string)).announce({ ...contribution, uploadId })
      const params = { datanetId, contributionId: id }
      const { body } = await call('resume-upload', contributor, { params })
      await fetch(body.multipart.parts[0].url, { method: 'PUT', body: bytes as unknown as BodyInit })
      await call('complete-upload', contributor, { params })
      expect(await settled(world(), id)).toMatchObject({ state: 'rejected', reason: { code: 'checksum-mismatch' } })
    })
  })
