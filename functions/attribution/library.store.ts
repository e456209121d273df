import type { Objects } from '#registry/objects.store'
import { DatanetVersion, type ProvenanceShard, type VersionPart } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import type { SearchedShard } from './evidence.ts'
import {
  loadIndexAsync,
  openFilter,
  ProvenanceError,
  type ProvenanceIndex,
  type ProvenanceSpan,
  type ShardFilter,
  type SpanOptions,
} from './provenance/index.ts'
import { openRowTable, type RowTable } from './row-table.ts'
import { Shelf } from './shelf.ts'
import { type Found, find, readInto } from './whole-object.store.ts'
import type { Withdrawals } from './withdrawals.store.ts'

/** Of the worker's 2,048 MB: what is left holds one shard that is being read, the heap and the payout rule. */
const SHELF_BYTES = 1_400 << 20
/** What an index takes when it is open, in files (measured: 2.8; docs/decisions/055). */
const OPENED = 3
/** Owners of one shard beyond this are counted, but named only as far as a policy needs to call the stretch common language. */
const NAMED_OWNERS = 1024

const NONE: ReadonlySet<string> = new Set()

/** A Datanet version to search, under the policy that was frozen with it. */
export interface Searched {
  id: string
  version: number
  policy: { maxClusters: number }
}

/** What a search cost: shards that a filter ruled out were not loaded. */
export interface Loads {
  shards: number
  ruledOut: number
  loaded: number
  loadedBytes: number
  loadSeconds: number
}

export interface Search {
  shards: SearchedShard[]
  /** Shards and versions that could not be asked, named, with why: the receipt is then incomplete. */
  missing: string[]
  loads: Loads
}

/**
 * Provenance shards of Datanet versions. A search goes shard by shard: the router filter says whether any of the outputs
 * can stand in it, only then its index is loaded (parallel range reads), asked for all outputs of the batch, and kept while
 * it fits. Objects are immutable but for erased rows, which the withdrawals rule out whether erased yet or not.
 */
export class Library {
  readonly #data: Objects
  readonly #models: Objects
  readonly #withdrawals: Pick<Withdrawals, 'of'>
  readonly #shelf: Shelf
  readonly #maxShardBytes: number
  readonly #versions = new Map<string, DatanetVersion>()
  readonly #tables = new Map<string, Uint32Array>()
  constructor(data: Objects, models: Objects, withdrawals: Pick<Withdrawals, 'of'>, shelfBytes = SHELF_BYTES) {
    this.#data = data
    this.#models = models
    this.#withdrawals = withdrawals
    this.#shelf = new Shelf(shelfBytes)
    this.#maxShardBytes = shelfBytes
  }

  /**
   * Spans of every output in every shard of the versions. A shard that is gone, damaged or too large is told in
   * `missing`; another fault of a read throws, so that the batch comes again, unless this is its `lastTry`.
   */
  async search(
    versions: readonly Searched[],
    outputs: readonly string[],
    minLength: number,
    lastTry: boolean,
  ): Promise<Search> {
    const loads: Loads = { shards: 0, ruledOut: 0, loaded: 0, loadedBytes: 0, loadSeconds: 0 }
    const search: Search = { shards: [], missing: [], loads }
    const queries = outputs.map((text) => ({ text, bytes: Buffer.from(text) }))
    const maxOwners = Math.max(NAMED_OWNERS, ...versions.map(({ policy }) => policy.maxClusters + 1))
    for (const { id, version } of versions) {
      const manifest = await missed(search, `version ${id}@${version}`, lastTry, () => this.#version(id, version))
      if (!manifest) continue
      const withdrawn = await this.#withdrawals.of(id)
      const live = manifest.parts.filter(({ contribution }) => withdrawn.get(contribution) !== null)
      await this.#readAhead(live)
      for (const part of live) {
        const deleted = withdrawn.get(part.contribution) ?? NONE
        const tables = new Map<ProvenanceShard, RowTable>()
        for (const shard of part.shards) {
          const table = await missed(search, `provenance shard ${shard.indexKey}`, lastTry, () =>
            this.#table(part, shard),
          )
          if (table) tables.set(shard, table)
        }
        const versionEnd = Math.max(...[...tables.values()].map((table) => table.lastSequence))
        for (const [shard, table] of tables) {
          loads.shards++
          const spans = await missed(search, `provenance shard ${shard.indexKey}`, lastTry, () =>
            this.#spans({ ...shard, table }, queries, { minLength, maxOwners }, deleted, loads),
          )
          if (!spans) continue
          const get: RowTable['get'] = (row) => (deleted.has(row) ? undefined : table.get(row))
          search.shards.push({
            key: shard.indexKey,
            digest: shard.indexSha256,
            datanetId: id,
            contribution: part.contribution,
            rows: { get },
            versionEnd,
            spans,
          })
        }
      }
    }
    return search
  }

  /** Information of each token of the base's vocabulary, units of 2^-16 bit. */
  async unigram(baseId: string): Promise<Uint32Array> {
    const found = this.#tables.get(baseId)
    if (found) return found
    const bytes = await this.#models.bytes(`bases/${baseId}/unigram.bin`)
    const table = new Uint32Array(bytes.slice().buffer)
    this.#tables.set(baseId, table)
    return table
  }

  async #spans(
    shard: ProvenanceShard & { table: RowTable },
    queries: readonly { text: string; bytes: Uint8Array }[],
    wanted: Pick<SpanOptions, 'minLength' | 'maxOwners'>,
    deleted: ReadonlySet<string>,
    loads: Loads,
  ): Promise<Map<string, ProvenanceSpan[]>> {
    const asked = await this.#possible(shard, queries, wanted.minLength)
    if (asked.length === 0) {
      loads.ruledOut++
      return new Map()
    }
    const index = await this.#index(shard, loads)
    const options = { ...wanted, deleted: deleted.size > 0 ? index.tombstones(deleted) : undefined }
    const found = new Map(asked.map(({ text, bytes }) => [text, index.spans(bytes, options)]))
    // A whole index, but of other rows: what it names would be paid to nobody without a word.
    for (const spans of found.values())
      if (spans.some(({ owners }) => owners.some((row) => !shard.table.get(row))))
        throw new ProvenanceError('INDEX_FOREIGN', 'the index names rows that its shard does not have')
    return found
  }

  /** Outputs that the shard may hold. Without a readable filter, all of them: it only spares loads. */
  async #possible<Query extends { bytes: Uint8Array }>(
    shard: ProvenanceShard,
    queries: readonly Query[],
    minLength: number,
  ): Promise<readonly Query[]> {
    try {
      const filter = await this.#filter(shard)
      return queries.filter(({ bytes }) => filter.mayHold(bytes, minLength))
    } catch {
      return queries
    }
  }

  /** Tables and filters are small and many: read some at once. One that fails is met again, and told, in its turn. */
  async #readAhead(parts: readonly VersionPart[]): Promise<void> {
    const places = parts.flatMap((part) => part.shards.map((shard) => ({ part, shard })))
    for (let i = 0; i < places.length; i += 16)
      await Promise.allSettled(
        places.slice(i, i + 16).flatMap(({ part, shard }) => [this.#table(part, shard), this.#filter(shard)]),
      )
  }

  async #index({ indexKey }: ProvenanceShard, loads: Loads): Promise<ProvenanceIndex> {
    const started = performance.now()
    return this.#kept(
      indexKey,
      async (found) => {
        // Straight into the index's own memory: a shard is never held twice.
        const index = await loadIndexAsync(found.bytes, (memory) => readInto(this.#data, indexKey, found, memory))
        loads.loaded++
        loads.loadedBytes += found.bytes
        loads.loadSeconds += (performance.now() - started) / 1000
        return index
      },
      OPENED,
    )
  }

  /** The filter of another shard under this one's key would rule out silently what the shard holds. */
  #filter({ filterKey }: ProvenanceShard): Promise<ShardFilter> {
    return this.#opened(filterKey, (bytes) => openFilter(bytes, filterKey))
  }

  #table({ contributor }: VersionPart, { tableKey }: ProvenanceShard): Promise<RowTable> {
    return this.#opened(tableKey, (bytes) => openRowTable(bytes, contributor))
  }

  async #version(id: string, version: number): Promise<DatanetVersion> {
    const key = `datanets/${id}/versions/${version}.json`
    const found = this.#versions.get(key) ?? DatanetVersion.parse(await this.#data.json(key))
    this.#versions.set(key, found)
    return found
  }

  #opened<Value>(key: string, open: (bytes: Uint8Array) => Value): Promise<Value> {
    return this.#kept(key, async (found) => {
      const memory = new Uint8Array(found.bytes)
      await readInto(this.#data, key, found, memory)
      return open(memory)
    })
  }

  /** `times`: how many times the object's bytes its value takes in memory. */
  async #kept<Value>(key: string, load: (found: Found) => Promise<Value>, times = 1): Promise<Value> {
    const kept = this.#shelf.get<Value>(key)
    if (kept !== undefined) return kept
    const found = await find(this.#data, key)
    const { bytes } = found
    if (bytes * times > this.#maxShardBytes)
      throw new OpenLedgerError('payload-too-large', `${key} has ${bytes} bytes: too many for this function.`)
    this.#shelf.makeRoom(bytes * times)
    const value = await load(found)
    this.#shelf.put(key, value, bytes * times)
    return value
  }
}

/** The answer, or undefined after `missing` was told why there is none. */
const missed = async <Answer>(
  search: Search,
  name: string,
  lastTry: boolean,
  ask: () => Promise<Answer>,
): Promise<Answer | undefined> => {
  try {
    return await ask()
  } catch (error) {
    const { code, name: kind } = error as { code?: string; name: string }
    // Trying again does not mend these: the object is gone, damaged, or larger than the function.
    const isLasting =
      error instanceof ProvenanceError ||
      (error instanceof OpenLedgerError && ['not-found', 'conflict', 'payload-too-large'].includes(error.code)) ||
      ['ZodError', 'SyntaxError'].includes(kind)
    if (!isLasting && !lastTry) throw error
    search.missing.push(`${name}: ${code ?? kind}`)
    return undefined
  }
}
