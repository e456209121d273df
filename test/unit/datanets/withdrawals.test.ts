import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { buildShard } from '../../../functions/attribution/build-shard.ts'
import { openFilter, openIndex } from '../../../functions/attribution/provenance/index.ts'
import { openRowTable } from '../../../functions/attribution/row-table.ts'
import { PERMUTATIONS } from '../../../functions/datanets/clusters/minhash.ts'
import { encodeHeader, encodeRecord, readSignatures } from '../../../functions/datanets/clusters/signature-file.ts'
import { type Dead, eraseRows } from '../../../functions/datanets/erasure/erase-rows.ts'
import { Spool } from '../../../functions/datanets/row-spool.store.ts'
import { withdraw } from '../../../functions/datanets/withdrawals.ts'
import type { Withdrawal } from '../../../functions/schema/datanets.ts'

const hex = (n: number) => n.toString(16).padStart(24, '0')
const rowId = (n: number) => `row_${hex(n)}`
const folder = mkdtempSync(join(tmpdir(), 'erasure-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const lineOf = (n: number) =>
  JSON.stringify({
    id: rowId(n),
    text: `Row ${n} has a sentence of its own that nobody else would write, éñ ${'x'.repeat(n)}`,
    contribution: `ctr_${hex(1)}`,
    contributor: `acc_${hex(1)}`,
    cluster: rowId(n),
    start: 0,
    end: 1,
    sequence: 50 + n,
  })
const lines = [0, 1, 2, 3, 4].map(lineOf)
const rows = Buffer.from(lines.map((line) => `${line}\n`).join(''))
const signatures = Buffer.concat([
  encodeHeader(lines.length),
  ...lines.map((line, n) => {
    const lineStart = Buffer.byteLength(
      lines
        .slice(0, n)
        .map((each) => `${each}\n`)
        .join(''),
    )
    const signature = new Uint32Array(PERMUTATIONS).fill(n)
    return encodeRecord({ id: rowId(n), sequence: 50 + n, lineStart, lineBytes: Buffer.byteLength(line), signature })
  }),
])
/** In pieces of any size, as S3 sends them. */
async function* pieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size)
}
const erase = async (dead: Dead, size = 7, from = { rows, signatures }) => {
  const sinks = { rows: new Spool(join(folder, 'rows')), signatures: new Spool(join(folder, 'signatures')) }
  const erased = await eraseRows(
    { rows: pieces(from.rows, size), signatures: pieces(from.signatures, size) },
    dead,
    sinks,
  )
  for (const sink of Object.values(sinks)) sink.close()
  return { erased, rows: readFileSync(join(folder, 'rows')), signatures: readFileSync(join(folder, 'signatures')) }
}

describe('erasing rows of a part', () => {
  for (const size of [1, 7, 64, 100_000])
    it(`leaves the others where they were, read in pieces of ${size}`, async () => {
      const after = await erase(new Set([rowId(1), rowId(4)]), size)
      expect(after.erased).toBe(2)
      expect(after.rows).toHaveLength(rows.length)
      expect(after.rows.toString().split('\n').filter(Boolean)).toEqual([lines[0], lines[2], lines[3]])
      const kept = []
      for await (const { id, lineStart, lineBytes } of readSignatures(pieces(after.signatures, size))) {
        kept.push(id)
        expect(JSON.parse(after.rows.toString('utf8', lineStart, lineStart + lineBytes)).id).toBe(id)
      }
      expect(kept).toEqual([rowId(0), rowId(2), rowId(3)])
    })

  it('does nothing for rows that are not there, and the same when it is run again', async () => {
    expect(await erase(new Set([rowId(99)]))).toEqual({ erased: 0, rows, signatures })
    const once = await erase(new Set([rowId(2)]))
    expect(await erase(new Set([rowId(2)]), 7, once)).toEqual({ ...once, erased: 0 })
  })

  it('finds a row whose signature is gone already: of two erasures at once the later writer brings rows back', async () => {
    const other = await erase(new Set([rowId(2)]))
    const mixed = await erase(new Set([rowId(2), rowId(3)]), 7, { rows, signatures: other.signatures })
    expect(mixed.erased).toBe(2)
    expect(mixed.rows.toString().split('\n').filter(Boolean)).toEqual([lines[0], lines[1], lines[4]])
  })

  it('does not take rows that are cut for all rows', async () => {
    await expect(erase(new Set([rowId(2)]), 7, { rows: rows.subarray(0, -1), signatures })).rejects.toThrow('inside')
  })

  it('leaves nothing of a part that was withdrawn as a whole, and a shard of no rows opens', async () => {
    const { erased, rows: left } = await erase(null)
    expect([erased, left.toString().trim()]).toEqual([5, ''])
    const { index, filter, table } = buildShard(left, 'a.filter')
    const query = Buffer.from(JSON.parse(lines[3]!).text)
    expect(openIndex(index).spans(query, { minLength: 32, maxOwners: 9 })).toEqual([])
    expect(openFilter(filter).mayHold(query, 32)).toBe(false)
    expect(openRowTable(table, 'acc').get(rowId(3))).toBeUndefined()
  })

  it('gives a shard without the erased row’s bytes, which answers for the others as before', async () => {
    const { rows: left } = await erase(new Set([rowId(3)]))
    const before = buildShard(rows, 'a.filter')
    const after = buildShard(left, 'a.filter')
    const ask = ({ index }: typeof after, n: number) =>
      openIndex(index).spans(Buffer.from(JSON.parse(lines[n]!).text), { minLength: 40, maxOwners: 9 })
    expect(ask(before, 3)[0]?.owners).toEqual([rowId(3)])
    expect(ask(after, 3).flatMap(({ owners }) => owners)).not.toContain(rowId(3))
    expect(ask(after, 2)).toEqual(ask(before, 2))
    expect(openRowTable(after.table, 'acc').get(rowId(4))).toEqual({
      cluster: rowId(4),
      contributor: 'acc',
      sequence: 54,
    })
  })
})

describe('withdrawing', () => {
  const [contributor, curator, other] = [1, 2, 3].map((n) => ({ accountId: `acc_${hex(n)}` }))
  let state = 'accepted'
  let erased: string[] = []
  const recorded = new Map<string, Withdrawal>()
  const book = {
    get: async () => ({ curator: curator!.accountId }),
    contribution: async () => ({ contributor: contributor!.accountId, state }),
    withdraw: async (withdrawal: Withdrawal, digest: string) => {
      if (!recorded.has(digest)) recorded.set(digest, withdrawal)
      return recorded.get(digest)
    },
  } as never
  const desk = {
    book,
    now: () => new Date(0),
    erase: async ({ digest }: { digest: string }) => {
      erased.push(digest)
    },
  }
  const take = (who: typeof contributor, rows: string[] | 'all' = 'all') =>
    withdraw(desk, who!, `dn_${hex(1)}`, `ctr_${hex(1)}`, rows)
  beforeEach(() => {
    state = 'accepted'
    erased = []
    recorded.clear()
  })

  it('is for the contributor and the curator; to others the contribution does not exist', async () => {
    expect(await take(contributor, [rowId(2)])).toMatchObject({ rows: [rowId(2)], by: contributor!.accountId })
    expect(await take(curator)).toMatchObject({ rows: null, by: curator!.accountId })
    await expect(take(other)).rejects.toMatchObject({ code: 'not-found' })
    expect(recorded.size).toBe(2)
  })

  it('is recorded once, in whatever order the rows are named, and starts its erasure again', async () => {
    const first = await take(contributor, [rowId(2), rowId(1), rowId(2)])
    expect(first.rows).toEqual([rowId(1), rowId(2)])
    expect(await take(curator, [rowId(1), rowId(2)])).toEqual(first)
    expect(recorded.size).toBe(1)
    expect(new Set(erased).size).toBe(1)
  })

  it('waits until the contribution is published', async () => {
    for (state of ['awaiting-upload', 'validating', 'rejected'])
      await expect(take(contributor)).rejects.toMatchObject({ code: 'wrong-state' })
    expect([recorded.size, erased]).toEqual([0, []])
  })
})
