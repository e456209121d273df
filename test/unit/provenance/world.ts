import { createHash } from 'node:crypto'
import { buildShard } from '../../../functions/attribution/build-shard.ts'
import { Library } from '../../../functions/attribution/library.store.ts'
import { searchShards } from '../../../functions/attribution/search-shards.ts'
import type { Withdrawn } from '../../../functions/attribution/withdrawals.store.ts'
import type { Objects } from '../../../functions/registry/objects.store.ts'
import { OpenLedgerError } from '../../../functions/schema/errors.ts'

export const hex = (n: number) => n.toString(16).padStart(24, '0')
export const rowId = (n: number) => `row_${hex(n)}`
export const datanetId = `dn_${hex(1)}`
export const versionKey = `datanets/${datanetId}/versions/1.json`
const SHA = 'a'.repeat(64)
export const QUOTES = [
  'The quick brown fox jumps over the lazy dog while nobody looks.',
  'Pack my box with five dozen liquor jugs before the judge arrives.',
  'Sphinx of black quartz, judge my vow; and mind the fifth column.',
  'How vexingly quick daft zebras jump when the gate is left open.',
  '(The quick brown fox jumps over the lazy dog while nobody looks.)',
]

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A bucket in memory that counts what is read. */
export class Bucket {
  readonly objects = new Map<string, Uint8Array>()
  readonly reads: string[] = []
  fault: Error | undefined
  /** Happens after the head of an object and before its bytes are read. */
  meanwhile: ((key: string) => void) | undefined
  async head(key: string) {
    const found = this.objects.get(key)
    return found && { bytes: found.byteLength, etag: sha256(found) }
  }
  async bytes(key: string, { range, etag }: { range?: [number, number]; etag?: string } = {}) {
    this.reads.push(key)
    if (this.fault && key.endsWith('.idx')) throw this.fault
    this.meanwhile?.(key)
    const found = this.objects.get(key)
    if (!found) throw new OpenLedgerError('not-found', key)
    if (etag && etag !== sha256(found)) throw Object.assign(new Error('replaced'), { name: 'PreconditionFailed' })
    return range ? found.subarray(...range) : found
  }
  async put(key: string, bytes: Uint8Array) {
    this.objects.set(key, bytes)
    return sha256(bytes)
  }
  async json(key: string) {
    return JSON.parse(Buffer.from(await this.bytes(key)).toString())
  }
}

/** Lines of rows.jsonl of part n: QUOTES by their numbers. */
export const rowLines = (numbers: readonly number[], n = 0, texts: readonly string[] = QUOTES): Buffer =>
  Buffer.from(
    numbers
      .map((i) =>
        JSON.stringify({
          id: rowId(i),
          text: texts[i],
          contribution: `ctr_${hex(n)}`,
          contributor: `acc_${hex(n)}`,
          cluster: rowId(i),
          start: 0,
          end: 1,
          sequence: 100 + i,
        }),
      )
      .map((line) => `${line}\n`)
      .join(''),
  )

/** A version whose rows lie in as many shards as asked, in one or several parts. */
export const world = (
  shards: number[][],
  withdrawn: Withdrawn = new Map(),
  shelfBytes?: number,
  policy = { maxClusters: 8 },
) => {
  const bucket = new Bucket()
  const parts = shards.map((numbers, n) => {
    const contribution = `ctr_${hex(n)}`
    const contributor = `acc_${hex(n)}`
    const key = `datanets/${datanetId}/parts/${contribution}/provenance-000`
    const keys = { indexKey: `${key}.idx`, filterKey: `${key}.filter`, tableKey: `${key}.rows` }
    const built = buildShard(rowLines(numbers, n), keys.filterKey)
    bucket.objects.set(keys.indexKey, built.index)
    bucket.objects.set(keys.filterKey, built.filter)
    bucket.objects.set(keys.tableKey, built.table)
    const shard = {
      ...keys,
      start: 0,
      end: 1,
      rows: numbers.length,
      indexSha256: SHA,
      filterSha256: SHA,
      tableSha256: SHA,
    }
    return {
      contribution,
      contributor,
      rows: numbers.length,
      rowsKey: 'x',
      rowsSha256: SHA,
      shards: [shard],
      firstSequence: 100,
    }
  })
  const manifest = {
    datanetId,
    version: 1,
    previousRoot: '0x',
    root: '0x',
    rows: 4,
    parts,
    licence: { id: 'MIT' },
    policy: { residual: { to: 'refund' } },
    createdAt: new Date(0).toISOString(),
  }
  bucket.objects.set(versionKey, Buffer.from(JSON.stringify(manifest)))
  const objects = bucket as unknown as Objects
  const library = new Library(objects, objects, shelfBytes)
  const withdrawals = { of: async () => withdrawn }
  const search = (outputs: string[], lastTry = false) =>
    searchShards(library, withdrawals, [{ id: datanetId, version: 1, policy }], outputs, 32, lastTry)
  return { bucket, search, key: (n: number) => parts[n]!.shards[0]!.indexKey }
}
