import { gzipSync } from 'node:zlib'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, test } from 'vitest'
import { call, put, sha256 } from './platform.ts'
import { announce, found, jsonl, rejectedRows, sentence, settled, upload, type World } from './world.ts'

const parquet = Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'text', data: [sentence(1)], type: 'STRING' }] }))
const wide = Buffer.from(`${Array.from({ length: 1000 }, (_, n) => `c${n}`).join(',')}\n${'1,'.repeat(999)}1\n`)
const latin1 = Buffer.from('{"text":"na\xefve caf\xe9 in another encoding"}\n', 'latin1')

/** Bad input of an upload (issue 3, "Bad input and faults"): never a fault, always a reason. */
export const refusals = (world: () => World) =>
  describe('uploads that are refused', () => {
    test.each([
      ['empty-file', 'blank.txt', Buffer.from(' \n \n')],
      ['truncated-parquet', 'cut.parquet', parquet.subarray(0, parquet.length - 20)],
      ['too-many-columns', 'wide.csv', wide],
      ['archive-refused', 'data.jsonl', gzipSync(Buffer.alloc(5_000_000))],
      ['unsupported-format', 'array.json', Buffer.from(JSON.stringify([{ text: sentence(1) }]))],
      ['no-rows-accepted', 'latin1.jsonl', latin1],
      ['no-rows-accepted', 'bomb.jsonl', Buffer.from(`{"text":${'['.repeat(200)}${']'.repeat(200)}}\n`)],
    ])('%s (%s)', async (code, filename, bytes) => {
      const { curator, contributor } = world()
      const there = { contributor, datanetId: await found(curator, contributor) }
      const id = await upload(there, bytes, filename)
      expect(await settled(there, id)).toMatchObject({
        state: 'rejected',
        rowsAccepted: 0,
        reason: { code, detail: expect.any(String) },
      })
      const { items } = await rejectedRows(there, id)
      expect(items.map((row: { code: string }) => row.code)).toEqual(
        code === 'no-rows-accepted' ? [filename === 'latin1.jsonl' ? 'invalid-utf8' : 'json-bomb'] : [],
      )
      // Nothing half-written: no version, and the next upload goes on.
      expect((await call('get-datanet', curator, { params: { datanetId: there.datanetId } })).body.version).toBe(0)
    })

    test('S3 itself refuses other bytes, another length, another type, and a second object', async () => {
      const bytes = jsonl([sentence(50)])
      const { body } = await announce(world(), bytes, 'rows.jsonl', { contentType: 'application/jsonl' })
      const other = Buffer.from(bytes.toString().replace('50', '51'))
      expect((await put(body.put, other)).status).toBe(400)
      const { 'content-length': _length, ...unbounded } = body.put.headers
      expect((await put({ ...body.put, headers: unbounded }, Buffer.concat([bytes, bytes]))).status).toBe(403)
      const headers = { ...body.put.headers, 'content-type': 'text/html' }
      expect((await put({ ...body.put, headers }, bytes)).status).toBe(403)
      const { 'if-none-match': _dropped, ...unconditional } = body.put.headers
      expect((await put({ ...body.put, headers: unconditional }, bytes)).status).toBe(403)
      expect((await put(body.put, bytes)).status).toBe(200)
      expect((await put(body.put, bytes)).status).toBe(412)
      expect(await settled(world(), body.contribution.id)).toMatchObject({ state: 'accepted' })
    })

    test('the door refuses what needs no upload to be wrong', async () => {
      const { contributor, datanetId } = world()
      const contribute = (body: object) => call('contribute', contributor, { params: { datanetId }, body })
      const good = { filename: 'a.jsonl', bytes: 10, sha256: sha256(Buffer.from('x')) }
      expect(await contribute({ ...good, bytes: 2 ** 31 })).toMatchObject({ status: 413, body: { param: 'bytes' } })
      expect(await contribute({ ...good, bytes: 0 })).toMatchObject({ status: 400, body: { code: 'invalid-request' } })
      expect(await contribute({ ...good, bytes: -1 })).toMatchObject({ status: 400 })
      expect(await contribute({ ...good, sha256: 'abc' })).toMatchObject({ status: 400, body: { param: 'sha256' } })
      expect(await contribute({ ...good, filename: 'a.zip' })).toMatchObject({ status: 415 })
      expect(await contribute({ ...good, contentType: 'text/plain\r\nx-evil: 1' })).toMatchObject({ status: 415 })
    })

    test('rejected rows come in pages', async () => {
      const { curator, contributor } = world()
      const there = { contributor, datanetId: await found(curator, contributor) }
      const bad = Array.from({ length: 25 }, (_, n) => `line ${n} is no JSON\n`).join('')
      const id = await upload(there, Buffer.concat([Buffer.from(bad), jsonl([sentence(1)])]), 'rows.jsonl')
      await settled(there, id)
      const rows: number[] = []
      const pages: number[] = []
      let cursor: string | null = null
      do {
        const page: { items: { row: number }[]; cursor: string | null } = await rejectedRows(there, id, {
          limit: '10',
          ...(cursor ? { cursor } : {}),
        })
        rows.push(...page.items.map(({ row }) => row))
        pages.push(page.items.length)
        cursor = page.cursor
      } while (cursor)
      expect(rows).toEqual(Array.from({ length: 25 }, (_, n) => n))
      expect(pages).toEqual([10, 10, 5])
      expect(await rejectedRows(there, id, { cursor: '7' })).toMatchObject({ code: 'invalid-request', param: 'cursor' })
    })
  })
