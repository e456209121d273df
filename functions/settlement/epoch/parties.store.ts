import { keys } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { Account } from '#schema/accounts'
import { DatanetVersion } from '#schema/datanets'
import { Adapter } from '#schema/models'
import type { RegisteredAccount } from './fix-inputs.ts'
import { termsDigest } from './inputs.ts'

const FrozenPolicy = DatanetVersion.pick({ root: true, policy: true }).loose()
const PARALLEL = 16

/** What the registry knows of those whom an epoch names: payees, clients, adapters and their terms. */
export class Parties {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  async accounts(ids: readonly string[]): Promise<RegisteredAccount[]> {
    const found: RegisteredAccount[] = []
    for (let i = 0; i < ids.length; i += PARALLEL) {
      const batch = ids.slice(i, i + PARALLEL).map((id) => this.#records.find(Account, keys.account(id)))
      for (const account of await Promise.all(batch))
        if (account) {
          const { id, address, backedBy, createdAt } = account
          found.push({ accountId: id, address, backedBy, createdAt })
        }
    }
    return found
  }

  /** Terms of the adapter as registered, with the policies frozen in its Datanet versions; empty when it is unknown. */
  async terms(adapterId: string): Promise<string[]> {
    const adapter = await this.#records.find(Adapter, keys.adapter(adapterId))
    if (!adapter) return []
    const datanets = await Promise.all(
      adapter.datanets.map(async ({ id, version, root, trainedTokens }) => {
        const { policy } = await this.#records.get(FrozenPolicy, keys.version(id, version), 'Datanet version')
        return { id, version, root, trainedTokens, policy }
      }),
    )
    return [termsDigest({ ...adapter, datanets })]
  }
}
