import { keys, listing } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { OpenLedgerError } from '#schema/errors'
import { BaseModel, Pool, ServingPool } from '#schema/models'

/** Which endpoints serve a base model: a pool for each bucket of rank, and one influence endpoint. */
export class PoolBook {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  serving = (baseId: string, bucket: number): Promise<ServingPool | undefined> =>
    this.#records.find(ServingPool, keys.servingPool(baseId, bucket))

  /** Called when the endpoints answer; counts as a use, so that a pool that has just woken is not idle. */
  async publish(pool: ServingPool, influenceEndpoint: string): Promise<void> {
    const { baseId, updatedAt } = pool
    await this.#records.put(keys.pool(baseId), { baseId, influenceEndpoint, updatedAt })
    await this.#records.put(keys.servingPool(baseId, pool.bucket), pool)
  }

  /** Notes that somebody asked; nothing happens where the pool is not published. */
  async used(baseId: string, bucket: number, usedAt: string): Promise<void> {
    try {
      await this.#records.change(ServingPool, keys.servingPool(baseId, bucket), { usedAt })
    } catch (error) {
      if (!(error instanceof OpenLedgerError) || error.code !== 'wrong-state') throw error
    }
  }

  /** Every serving pool, and every influence endpoint, of all base models. */
  async all(): Promise<{ pools: ServingPool[]; influence: string[] }> {
    const pools: ServingPool[] = []
    const influence: string[] = []
    let cursor: string | undefined
    do {
      const page = await this.#records.listIndexed(BaseModel, listing.bases, { limit: 100, cursor })
      for (const { id } of page.items) {
        const { PK } = keys.pool(id)
        pools.push(...(await this.#records.list(ServingPool, PK, 'RANK#')).items)
        const shared = await this.#records.find(Pool, keys.pool(id))
        if (shared?.influenceEndpoint) influence.push(shared.influenceEndpoint)
      }
      cursor = page.cursor ?? undefined
    } while (cursor)
    return { pools, influence }
  }
}
