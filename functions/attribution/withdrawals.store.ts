import { keys } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { Withdrawal } from '#schema/datanets'

/** Rows that are taken back, by contribution; null: all of them. A row that is named under another contribution is not meant. */
export type Withdrawn = ReadonlyMap<string, ReadonlySet<string> | null>

/** What contributors and curators took back: read for every batch, so that a deleted row is not named again. */
export class Withdrawals {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  async of(datanetId: string): Promise<Withdrawn> {
    const withdrawn = new Map<string, Set<string> | null>()
    let cursor: string | undefined
    do {
      const page = await this.#records.list(Withdrawal, keys.datanet(datanetId).PK, 'WITHDRAWN#', {
        limit: 200,
        cursor,
      })
      for (const { contribution, rows } of page.items) {
        const known = withdrawn.get(contribution)
        withdrawn.set(contribution, rows === null || known === null ? null : new Set([...(known ?? []), ...rows]))
      }
      cursor = page.cursor ?? undefined
    } while (cursor)
    return withdrawn
  }
}
