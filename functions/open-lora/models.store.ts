import * as z from 'zod'
import { keys, listing } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { DatanetVersion } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import { Adapter, AdapterNameRecord, ServingPool } from '#schema/models'
import { adapterFor } from './canary.ts'
import { bucketOf } from './pools.ts'
import { parseModel } from './request.ts'

export interface Served {
  name: string
  adapter: Adapter
  shards: string[]
  pool: { baseId: string; bucket: number }
  versions: Pick<DatanetVersion, 'datanetId' | 'version' | 'root' | 'policy'>[]
}

/** Names, adapters and the endpoints that serve them. Adapters are immutable, so they are kept for the life of the environment. */
export class Models {
  readonly #records: Records
  readonly #adapters = new Map<string, Adapter>()
  readonly #versions = new Map<string, Served['versions'][number]>()
  constructor(records: Records) {
    this.#records = records
  }

  /** What answers this receipt, without shards while its pool was never started. Throws `model-not-found` for a name or version that is not registered. */
  async resolve(model: string, receiptId: string): Promise<Served> {
    const { name, adapterId } = parseModel(model)
    const record = await this.#records.find(AdapterNameRecord, keys.name(name))
    const id = adapterId ?? (record && adapterFor(record, receiptId))
    if (!record || !id || !record.history.includes(id))
      throw new OpenLedgerError('model-not-found', `There is no model ${model}: GET /v1/models lists the names.`, {
        param: 'model',
      })
    const adapter = this.#adapters.get(id) ?? (await this.#records.get(Adapter, keys.adapter(id), 'adapter'))
    this.#adapters.set(id, adapter)
    const bucket = bucketOf(adapter.rank)
    const pool = await this.#records.find(ServingPool, keys.servingPool(adapter.baseId, bucket))
    return {
      name,
      adapter,
      shards: pool?.endpoints ?? [],
      pool: { baseId: adapter.baseId, bucket },
      versions: await Promise.all(adapter.datanets.map(({ id, version }) => this.#version(id, version))),
    }
  }

  async #version(datanetId: string, version: number): Promise<Served['versions'][number]> {
    const key = `${datanetId}@${version}`
    const found =
      this.#versions.get(key) ??
      (await this.#records.get(
        DatanetVersion.pick({ datanetId: true, version: true, root: true, policy: true }).loose(),
        keys.version(datanetId, version),
        'Datanet version',
      ))
    this.#versions.set(key, found)
    return found
  }

  /**
   * Accounts on the payer's side: its own, and those that declared it (`linkPayer`). No other can be paid to its
   * address (`functions/accounts`).
   */
  async linkedTo(payer: string): Promise<string[]> {
    const linked = new Set([payer])
    let cursor: string | undefined
    do {
      const page = await this.#records.list(z.object({ owner: z.string() }), keys.account(payer).PK, 'OWNER#', {
        cursor,
      })
      for (const { owner } of page.items) linked.add(owner)
      cursor = page.cursor ?? undefined
    } while (cursor)
    return [...linked].sort()
  }

  /** All names with the time and owner of what they point at. */
  async list(): Promise<{ id: string; object: 'model'; created: number; owned_by: string }[]> {
    const names: AdapterNameRecord[] = []
    let cursor: string | undefined
    do {
      const page = await this.#records.listIndexed(AdapterNameRecord, listing.names, { limit: 200, cursor })
      names.push(...page.items)
      cursor = page.cursor ?? undefined
    } while (cursor)
    return names.map(({ name, owner, createdAt }) => ({
      id: name,
      object: 'model',
      created: Math.floor(Date.parse(createdAt) / 1000),
      owned_by: owner,
    }))
  }
}
