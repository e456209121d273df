import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { detectFormat } from '../../../functions/datanets/formats/detect-format.ts'
import { LIMITS } from '../../../functions/datanets/formats/limits.ts'
import { planUpload } from '../../../functions/datanets/formats/plan-upload.ts'
import { piecesOf, plan, sha256, sourceOf } from './sources.ts'

const long = 'A sentence that is long enough to stand for itself.\n'

describe('uploads refused as a whole', () => {
  it.each([
    ['empty-file', 'a.jsonl', Buffer.alloc(0)],
    ['empty-file', 'a.txt', Buffer.from(' \n\t\r\n')],
    ['empty-file', 'a.txt', Buffer.from('\n'.repeat(100_000))],
    ['archive-refused', 'a.jsonl', gzipSync(Buffer.alloc(10_000_000))],
    ['archive-refused', 'a.zip', Buffer.from('PK\x03\x04 and 42 kilobytes more')],
    ['archive-refused', 'a.tar', Buffer.concat([Buffer.alloc(257, 'a'), Buffer.from('ustar'), Buffer.alloc(500)])],
    ['unsupported-encoding', 'a.txt', Buffer.from(`\ufeff${long}`, 'utf16le')],
    ['unsupported-format', 'a.txt', Buffer.from('%PDF-1.7 ...')],
    ['unsupported-format', 'a.txt', Buffer.from([...Array(3000).keys()].map((n) => n % 256))],
    ['unsupported-format', 'a.json', Buffer.from(`[{"text":"${long.trim()}"}]`)],
    ['type-mismatch', 'a.csv', Buffer.from('PAR1........PAR1')],
    ['type-mismatch', 'a.parquet', Buffer.from(long)],
    ['truncated-parquet', 'a.parquet', Buffer.from('PAR1 and then nothing that ends')],
  ])('%s: %s', async (code, filename, bytes) => {
    await expect(plan(bytes, filename)).rejects.toMatchObject({
      name: 'UploadRefused',
      code,
      message: expect.any(String),
    })
  })

  it('a JSON line without end is a bomb, however deep or long', async () => {
    const limits = { ...LIMITS, maxUnbrokenBytes: 50_000 }
    const bytes = Buffer.from(`{"text":${'['.repeat(100_000)}`)
    await expect(plan(bytes, 'a.jsonl', { limits })).rejects.toMatchObject({ code: 'json-bomb' })
  })

  it('tells a wrong size and a wrong checksum before anything else', async () => {
    const bytes = gzipSync(Buffer.from(long))
    const announced = {
      filename: 'a.jsonl',
      contentType: '',
      bytes: bytes.length,
      sha256: sha256(Buffer.from('other')),
    }
    await expect(planUpload(piecesOf(bytes), sourceOf(bytes), announced, LIMITS)).rejects.toMatchObject({
      code: 'checksum-mismatch',
    })
    await expect(
      planUpload(piecesOf(bytes), sourceOf(bytes), { ...announced, bytes: bytes.length + 1 }, LIMITS),
    ).rejects.toMatchObject({ code: 'size-mismatch' })
  })
})

describe('the format', () => {
  const formatOf = (content: string, filename: string, contentType = 'application/octet-stream') =>
    detectFormat(Buffer.from(content), { filename, contentType })

  it('follows the bytes, then the name, then the content type', () => {
    expect(formatOf('{"text":"x"}\n', 'data')).toEqual({ format: 'jsonl', bom: 0 })
    expect(formatOf('{"text":"x"}\n', 'data.txt')).toEqual({ format: 'jsonl', bom: 0 })
    expect(formatOf('{curly prose}\n', 'data.txt')).toEqual({ format: 'text', bom: 0 })
    expect(formatOf('[1] A footnote.\n', 'data.txt')).toEqual({ format: 'text', bom: 0 })
    expect(formatOf('not json', 'data.jsonl')).toEqual({ format: 'jsonl', bom: 0 })
    expect(formatOf('a,b\n', 'data.csv')).toEqual({ format: 'csv', bom: 0 })
    expect(formatOf('a,b\n', 'data', 'text/csv; charset=utf-8')).toEqual({ format: 'csv', bom: 0 })
    expect(formatOf('# Title\n', 'data')).toEqual({ format: 'markdown', bom: 0 })
    expect(formatOf('Title\n', 'README.md')).toEqual({ format: 'markdown', bom: 0 })
    expect(formatOf('Just words.', 'data')).toEqual({ format: 'text', bom: 0 })
  })

  it('skips a byte order mark and keeps the offsets', async () => {
    const { chunks } = await plan(Buffer.from(`\ufeff{"text":"${long.trim()}"}\n`), 'a.jsonl')
    expect(chunks[0]).toMatchObject({ format: 'jsonl', start: 3 })
  })
})
