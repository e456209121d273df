import type { Objects } from '#registry/objects.store'
import { DatanetVersion, Row, type VersionPart } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import type { Shard, ShelfRow } from './evidence.ts'
import { openIndex } from './provenance/index.ts'
import { wholeObject } from './whole-object.store.ts'

const SHELF_BYTES = 700 << 20

interface Shelved {
  shard: Shard
  bytes: number
}

/**
 * Provenance shards of Datanet versions, loaded by parallel range reads and kept in memory while they fit, least
 * recently used first out. Everything here is immutable, so nothing is ever refreshed.
 */
export class Library {
  readonly #data: Objects
  readonly #models: Objects
  readonly #shelf = new Map<string, Shelved>()
  readonly #versions = new Map<string, DatanetVersion>()
  readonly #tables = new Map<string, Uint32Array>()
  constructor(data: Objects, models: Objects) {
    this.#data = data
    this.#models = models
  }

  /** Shards of the versions; `missing` names those that are gone, so that the receipt can say so. */
  async shards(versions: readonly { id: string; version: number }[]): Promise<{ shards: Shard[]; missing: string[] }> {
    const shards: Shard[] = []
    const missing: string[] = []
    for (const { id, version } of versions)
      for (const part of (await this.#version(id, version)).parts) {
        try {
          shards.push(await this.#shard(id, part))
        } catch (error) {
          if (!(error instanceof OpenLedgerError) || error.code !== 'not-found') throw error
          missing.push(`provenance shard ${part.indexKey}`)
        }
      }
    return { shards, missing }
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

  async #version(id: string, version: number): Promise<DatanetVersion> {
    const key = `datanets/${id}/versions/${version}.json`
    const found = this.#versions.get(key) ?? DatanetVersion.parse(await this.#data.json(key))
    this.#versions.set(key, found)
    return found
  }

  async #shard(datanetId: string, part: VersionPart): Promise<Shard> {
    const found = this.#shelf.get(part.indexKey)
    if (found) {
      this.#shelf.delete(part.indexKey)
      this.#shelf.set(part.indexKey, found)
      return found.shard
    }
    const [index, lines] = await Promise.all([wholeObject(this.#data, part.indexKey), this.#data.text(part.rowsKey)])
    const rows = new Map<string, ShelfRow>()
    let end = part.firstSequence
    for (const line of lines.split('\n')) {
      if (!line) continue
      const row = Row.parse(JSON.parse(line))
      rows.set(row.id, { cluster: row.cluster, contributor: row.contributor, sequence: row.sequence })
      end = Math.max(end, row.sequence)
    }
    const shard: Shard = { key: part.indexKey, datanetId, index: openIndex(index), rows, versionEnd: end }
    this.#shelve(part.indexKey, { shard, bytes: index.byteLength + lines.length })
    return shard
  }

  #shelve(key: string, shelved: Shelved): void {
    this.#shelf.set(key, shelved)
    let bytes = [...this.#shelf.values()].reduce((sum, entry) => sum + entry.bytes, 0)
    for (const [old, entry] of this.#shelf) {
      if (bytes <= SHELF_BYTES || old === key) break
      this.#shelf.delete(old)
      bytes -= entry.bytes
    }
  }
}
