import * as z from 'zod'
import { keys, listing } from '#registry/keys'
import type { PageOf, Records } from '#registry/records.store'
import { Contribution, Datanet, Member, Withdrawal } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import { uploadKey } from './ingestion-records.store.ts'

export const VersionRecord = z.object({
  version: z.number().int(),
  root: z.string(),
  rows: z.number().int(),
  createdAt: z.string(),
})
export type VersionRecord = z.output<typeof VersionRecord>
type Page = { limit?: number | undefined; cursor?: string | undefined }

/** Datanets, their members, contributions and versions, as the API reads and writes them. */
export class DatanetBook {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  /** A Datanet and its curator's membership. */
  async found(datanet: Datanet): Promise<void> {
    await this.#records.create(keys.datanet(datanet.id), datanet, {
      partition: listing.datanets,
      sort: `${datanet.createdAt}#${datanet.id}`,
    })
    await this.join(datanet.id, datanet.curator, datanet.createdAt)
  }

  get(id: string): Promise<Datanet> {
    return this.#records.get(Datanet, keys.datanet(id), 'Datanet')
  }

  list(page: Page): Promise<PageOf<Datanet>> {
    return this.#records.listIndexed(Datanet, listing.datanets, page)
  }

  /** The membership, new or as it was. */
  async join(datanetId: string, accountId: string, joinedAt: string): Promise<z.output<typeof Member>> {
    const member = { datanetId, accountId, joinedAt }
    try {
      await this.#records.create(keys.member(datanetId, accountId), member)
      return member
    } catch (error) {
      if (!(error instanceof OpenLedgerError) || error.code !== 'already-exists') throw error
      return this.#records.get(Member, keys.member(datanetId, accountId), 'membership')
    }
  }

  async isMember(datanetId: string, accountId: string): Promise<boolean> {
    return (await this.#records.find(Member, keys.member(datanetId, accountId))) !== undefined
  }

  async announce(contribution: Contribution): Promise<void> {
    await this.#records.create(keys.contribution(contribution.datanetId, contribution.id), contribution)
  }

  /** Recorded once: said again, the first record is returned. A contribution taken back as a whole is `withdrawn`. */
  async withdraw(withdrawal: Withdrawal, digest: string): Promise<Withdrawal> {
    const { datanetId, contribution, rows } = withdrawal
    const key = keys.withdrawal(datanetId, contribution, digest)
    let recorded = withdrawal
    try {
      await this.#records.create(key, withdrawal)
    } catch (error) {
      if (!(error instanceof OpenLedgerError) || error.code !== 'already-exists') throw error
      recorded = await this.#records.get(Withdrawal, key, 'withdrawal')
    }
    if (rows === null)
      await this.#records.change(
        Contribution,
        keys.contribution(datanetId, contribution),
        { state: 'withdrawn' },
        { state: ['accepted', 'withdrawn'] },
      )
    return recorded
  }

  contribution(datanetId: string, id: string): Promise<Contribution> {
    return this.#records.get(Contribution, keys.contribution(datanetId, id), 'contribution')
  }

  /** A new multipart upload for a contribution that still waits for its bytes. */
  bindUpload(datanetId: string, id: string, uploadId: string): Promise<Contribution> {
    return this.#records.change(
      Contribution,
      keys.contribution(datanetId, id),
      { uploadId },
      { state: 'awaiting-upload' },
    )
  }

  /** The contribution that first brought these bytes into the Datanet. */
  async firstWith(datanetId: string, sha256: string): Promise<string | undefined> {
    const found = await this.#records.find(z.object({ contributionId: z.string() }), uploadKey(datanetId, sha256))
    return found?.contributionId
  }

  versions(datanetId: string, page: Page): Promise<PageOf<VersionRecord>> {
    return this.#records.list(VersionRecord, keys.datanet(datanetId).PK, 'VERSION#', { ...page, newestFirst: true })
  }

  async version(datanetId: string, n: number): Promise<VersionRecord> {
    return this.#records.get(VersionRecord, keys.version(datanetId, n), 'version of this Datanet')
  }
}
