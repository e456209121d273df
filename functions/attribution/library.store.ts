import type { Objects } from '#registry/objects.store'
import { DatanetVersion, type ProvenanceShard, type VersionPart } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import { loadIndexAsync, openFilter, type ProvenanceIndex, type ShardFilter } from './provenance/index.ts'
import { openRowTable, type RowTable } from './row-table.ts'
import { Shelf } from './shelf.ts'
import { type Found, find, readInto } from './whole-object.store.ts'

/** Of the worker's 2,048 MB: what is left holds one shard that is being read, the heap and the payout rule. */
const SHELF_BYTES = 1_400 << 20
/** What an index takes when it is open, in files (measured: 2.8; docs/decisions/055). */
const OPENED = 3

/**
 * Versions of Datanets and what their provenance shards consist of, opened when first asked for and kept while they fit:
 * index, router filter, row table. A damaged or foreign object is a ProvenanceError, one larger than the shelf
 * `payload-too-large`.
 */
export class Library {
  readonly #data: Objects
  readonly #models: Objects
  readonly #shelf: Shelf
  readonly #maxShardBytes: number
  readonly #versions = new Map<string, DatanetVersion>()
  readonly #tables = new Map<string, Uint32Array>()
  constructor(data: Objects, models: Objects, shelfBytes = SHELF_BYTES) {
    this.#data = data
    this.#models = models
    this.#shelf = new Shelf(shelfBytes)
    this.#maxShardBytes = shelfBytes
  }

  async version(id: string, version: number): Promise<DatanetVersion> {
    const key = `datanets/${id}/versions/${version}.json`
    const found = this.#versions.get(key) ?? DatanetVersion.parse(await this.#data.json(key))
    this.#versions.set(key, found)
    return found
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

  /** Tables and filters are small and many: read some at once. One that fails is met again, and told, in its turn. */
  async readAhead(parts: readonly VersionPart[]): Promise<void> {
    const places = parts.flatMap((part) => part.shards.map((shard) => ({ part, shard })))
    for (let i = 0; i < places.length; i += 16)
      await Promise.allSettled(
        places.slice(i, i + 16).flatMap(({ part, shard }) => [this.table(part, shard), this.filter(shard)]),
      )
  }

  /** Loaded by parallel range reads. `onLoad` hears of a load, not of an index that was kept. */
  async index(
    { indexKey }: ProvenanceShard,
    onLoad: (load: { bytes: number; seconds: number }) => void,
  ): Promise<ProvenanceIndex> {
    const started = performance.now()
    return this.#kept(
      indexKey,
      async (found) => {
        // Straight into the index's own memory: a shard is never held twice.
        const index = await loadIndexAsync(found.bytes, (memory) => readInto(this.#data, indexKey, found, memory))
        onLoad({ bytes: found.bytes, seconds: (performance.now() - started) / 1000 })
        return index
      },
      OPENED,
    )
  }

  /** The filter of another shard under this one's key would rule out silently what the shard holds. */
  filter({ filterKey }: ProvenanceShard): Promise<ShardFilter> {
    return this.#opened(filterKey, (bytes) => openFilter(bytes, filterKey))
  }

  table({ contributor }: VersionPart, { tableKey }: ProvenanceShard): Promise<RowTable> {
    return this.#opened(tableKey, (bytes) => openRowTable(bytes, contributor))
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
