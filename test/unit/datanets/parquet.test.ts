import { gzipSync, zstdCompressSync } from 'node:zlib'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../functions/datanets/formats/limits.ts'
import { codes, plan, split, texts } from './sources.ts'

type Columns = Parameters<typeof parquetWriteBuffer>[0]['columnData']
const write = (columnData: Columns, options: Partial<Parameters<typeof parquetWriteBuffer>[0]> = {}): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData, ...options }))
const long = (n: number): string => `Sentence number ${n} is long enough to stand for itself.`
const many = (n: number): string[] => Array.from({ length: n }, (_, index) => long(index))

describe('Parquet', () => {
  it('reads a column of texts, in chunks of row groups, with the bytes of the groups', async () => {
    const bytes = write([{ name: 'text', data: many(1000), type: 'STRING' }], { rowGroupSize: 100 })
    const { chunks, rows } = await split(bytes, 'rows.parquet', { limits: { ...LIMITS, chunkBytes: 20_000 } })
    expect(chunks.length).toBeGreaterThan(1)
    expect(texts(rows)).toEqual(many(1000))
    for (const { start, end } of rows) {
      expect(start).toBeGreaterThanOrEqual(4)
      expect(end).toBeLessThan(bytes.length)
    }
  })

  it('reads prompts and completions, and skips what is null', async () => {
    const bytes = write([
      { name: 'id', data: [1, 2], type: 'INT32' },
      { name: 'prompt', data: ['Why?', null], type: 'STRING', nullable: true },
      { name: 'completion', data: [long(1), null], type: 'STRING', nullable: true },
    ])
    const { rows } = await split(bytes, 'rows.parquet')
    expect(texts(rows)).toEqual([`Why?\n\n${long(1)}`])
    expect(codes(rows)).toEqual(['empty'])
  })

  it('reads GZIP and ZSTD pages', async () => {
    for (const [codec, compress] of [
      ['GZIP', gzipSync],
      ['ZSTD', zstdCompressSync],
    ] as const) {
      const bytes = write([{ name: 'text', data: many(50), type: 'STRING' }], {
        codec,
        compressors: { [codec]: (input: Uint8Array) => new Uint8Array(compress(input)) },
      })
      expect(texts((await split(bytes, 'rows.parquet')).rows)).toEqual(many(50))
    }
  })

  it('refuses one string that is not UTF-8 alone', async () => {
    const bytes = write([{ name: 'text', data: many(3), type: 'STRING' }], { codec: 'UNCOMPRESSED', statistics: false })
    const at = Buffer.from(bytes).indexOf(long(1))
    bytes[at] = 0xff
    const { rows } = await split(bytes, 'rows.parquet')
    expect(codes(rows)).toEqual(['invalid-utf8'])
    expect(texts(rows)).toEqual([long(0), long(2)])
  })

  it('refuses a truncated file by name', async () => {
    const bytes = write([{ name: 'text', data: many(100), type: 'STRING' }])
    for (const length of [4, 8, 11, 200, bytes.length - 1])
      await expect(plan(bytes.subarray(0, length), 'rows.parquet')).rejects.toMatchObject({ code: 'truncated-parquet' })
  })

  it('never fails otherwise than with a refusal, whatever byte is wrong', async () => {
    const bytes = write([{ name: 'text', data: many(40), type: 'STRING' }], { codec: 'SNAPPY' })
    for (let at = 4; at < bytes.length - 4; at += 3) {
      const broken = Uint8Array.from(bytes)
      broken[at] = (broken[at] as number) ^ 0x5a
      const outcome = await split(broken, 'rows.parquet').then(
        () => 'read',
        (error) => error.name,
      )
      expect(['read', 'UploadRefused'], `byte ${at}`).toContain(outcome)
    }
  })

  it('refuses too many columns, the wrong ones, an unknown codec, and a bomb', async () => {
    const wide = write(
      Array.from({ length: 1000 }, (_, i) => ({ name: `c${i}`, data: ['x'], type: 'STRING' as const })),
    )
    await expect(plan(wide, 'wide.parquet')).rejects.toMatchObject({ code: 'too-many-columns' })
    const odd = write([{ name: 'body', data: ['x'], type: 'STRING' }])
    await expect(plan(odd, 'odd.parquet')).rejects.toMatchObject({ code: 'wrong-shape' })
    const lz4 = write([{ name: 'text', data: many(5), type: 'STRING' }], {
      codec: 'LZ4_RAW',
      compressors: { LZ4_RAW: (input: Uint8Array) => input.slice(1) },
    })
    await expect(plan(lz4, 'lz4.parquet')).rejects.toMatchObject({ code: 'unsupported-compression' })
    const bomb = write(
      [{ name: 'text', data: Array.from({ length: 40 }, (_, i) => `${i}${'x'.repeat(100_000)}`), type: 'STRING' }],
      { codec: 'GZIP', compressors: { GZIP: (input: Uint8Array) => new Uint8Array(gzipSync(input)) } },
    )
    await expect(plan(bomb, 'bomb.parquet')).rejects.toMatchObject({ code: 'parquet-bomb' })
  })

  it('refuses more rows than one contribution may have', async () => {
    const bytes = write([{ name: 'text', data: many(100), type: 'STRING' }])
    await expect(plan(bytes, 'rows.parquet', { limits: { ...LIMITS, maxRows: 99 } })).rejects.toMatchObject({
      code: 'too-many-rows',
    })
  })
})
