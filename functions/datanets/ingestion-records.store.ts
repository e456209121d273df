import * as z from 'zod'
import { type Key, keys } from '#registry/keys'
import { Contribution, Datanet, Withdrawal } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import type { Reason, Upload } from './ingestion/flow.ts'
import { RegistryTransactions } from './registry-transaction.store.ts'

/** Which execution ingests which object version of a contribution, and the place that it has in the registry's order. */
const Ingestion = z.object({
  execution: z.string(),
  versionId: z.string(),
  ticket: z.number().int().min(1).optional(),
})
const Ticket = z.object({ ticket: z.number().int(), takenAt: z.string() })
const Counter = z.object({ last: z.number().int() })

const ingestionKey = (datanetId: string, id: string): Key => ({ PK: `DATANET#${datanetId}`, SK: `INGESTION#${id}` })
const ticketKey = (datanetId: string, ticket: number): Key => ({
  PK: `DATANET#${datanetId}`,
  SK: `TICKET#${String(ticket).padStart(12, '0')}`,
})
/** Who first contributed these very bytes to this Datanet. */
export const uploadKey = (datanetId: string, sha256: string): Key => ({
  PK: `DATANET#${datanetId}`,
  SK: `UPLOAD#${sha256}`,
})
/** One counter for all Datanets: registry order is total, so that "earlier" means the same everywhere. */
const COUNTER: Key = { PK: 'REGISTRY', SK: 'SEQUENCE' }
/** Changes nothing: it lets a transaction depend on the contribution being undecided. */
const VALIDATING = { set: { state: 'validating' }, expect: { state: 'validating' } }

export interface Publication {
  version: number
  root: string
  totalRows: number
  rowsAccepted: number
  rowsRejected: number
  manifestSha256: string
  createdAt: string
  sha256: string
  ticket: number
}

/** The transactions of ingestion. Each is safe to repeat: a retry finds what its first run did. */
export class IngestionRecords {
  readonly #registry: RegistryTransactions

  constructor(registry: RegistryTransactions | string) {
    this.#registry = typeof registry === 'string' ? new RegistryTransactions(registry) : registry
  }

  /**
   * awaiting-upload -> validating, bound to this object version and this execution. False for a repeated event, a
   * second upload to the same URL, or a contribution that nobody announced; true again for a retry of the same execution.
   */
  async claim({ datanetId, contributionId, versionId }: Upload, execution: string): Promise<boolean> {
    const key = keys.contribution(datanetId, contributionId)
    const claimed = await this.#registry.write([
      this.#registry.change({ key, set: { state: 'validating', versionId }, expect: { state: 'awaiting-upload' } }),
      this.#registry.put(ingestionKey(datanetId, contributionId), { execution, versionId }),
    ])
    return claimed || (await this.#ingestion(datanetId, contributionId))?.execution === execution
  }

  async contribution(datanetId: string, contributionId: string): Promise<Contribution | undefined> {
    return Contribution.strip()
      .optional()
      .parse(await this.#registry.get(keys.contribution(datanetId, contributionId)))
  }

  async datanet(datanetId: string): Promise<Datanet> {
    return Datanet.strip().parse(await this.#registry.get(keys.datanet(datanetId)))
  }

  /** These very bytes were accepted before, by whatever contribution. */
  async isKnown(datanetId: string, sha256: string): Promise<boolean> {
    return (await this.#registry.get(uploadKey(datanetId, sha256))) !== undefined
  }

  async ticket({ datanetId, contributionId }: Upload): Promise<number | undefined> {
    return (await this.#ingestion(datanetId, contributionId))?.ticket
  }

  /**
   * The contribution's place in the registry: the next number, taken once, after the checksum was verified. The number
   * and the open ticket are written together, so that no later number can pass an earlier one unseen. Undefined when the
   * contribution is decided already: its execution was stopped while this ran, and nobody would give the ticket back.
   */
  async takeTicket(upload: Upload, takenAt: string): Promise<number | undefined> {
    const { datanetId, contributionId } = upload
    const undecided = { key: keys.contribution(datanetId, contributionId), ...VALIDATING }
    for (let attempt = 0; attempt < 100; attempt++) {
      const taken = await this.ticket(upload)
      if (taken) return taken
      if ((await this.contribution(datanetId, contributionId))?.state !== 'validating') return undefined
      const last = Counter.optional().parse(await this.#registry.get(COUNTER))?.last
      const ticket = (last ?? 0) + 1
      const won = await this.#registry.write([
        this.#registry.change(undecided),
        this.#registry.change({ key: COUNTER, set: { last: ticket }, expect: { last: last ?? null } }),
        this.#registry.put(ticketKey(datanetId, ticket), { contributionId, ticket, takenAt }, true),
        this.#registry.change({
          key: ingestionKey(datanetId, contributionId),
          set: { ticket },
          expect: { versionId: upload.versionId, ticket: null },
        }),
      ])
      if (won) return ticket
    }
    throw new OpenLedgerError('overloaded', 'The registry counter is contended.')
  }

  /** The earliest open ticket of a Datanet that was taken after `since`. Older ones belong to executions that are over. */
  async firstTicket(datanetId: string, since: string): Promise<number | undefined> {
    const open = await this.#registry.first(`DATANET#${datanetId}`, 'TICKET#', 100)
    return open.map((item) => Ticket.parse(item)).find(({ takenAt }) => takenAt > since)?.ticket
  }

  /** Contributions of the Datanet that were taken back as a whole. */
  async withdrawn(datanetId: string): Promise<Set<string>> {
    const all = await this.#registry.all(`DATANET#${datanetId}`, 'WITHDRAWN#')
    return new Set(all.map((item) => Withdrawal.strip().parse(item)).flatMap((w) => (w.rows ? [] : [w.contribution])))
  }

  /** Rows of a contribution that were taken back; null: all of them. */
  async withdrawnRows(datanetId: string, contributionId: string): Promise<Set<string> | null> {
    const all = await this.#registry.all(`DATANET#${datanetId}`, `WITHDRAWN#${contributionId}#`)
    const lists = all.map((item) => Withdrawal.strip().parse(item).rows)
    return lists.includes(null) ? null : new Set(lists.flatMap((rows) => rows ?? []))
  }

  /** Publishes version n + 1 if n is still the latest: the commit point. False when another version came in between. */
  async publish({ datanetId, contributionId }: Upload, part: Publication): Promise<boolean> {
    const { version, root, totalRows, createdAt, manifestSha256 } = part
    const { policy } = await this.datanet(datanetId)
    return this.#registry.write([
      this.#registry.change({
        key: keys.datanet(datanetId),
        set: { version, rows: totalRows },
        expect: { version: version - 1 },
      }),
      this.#registry.put(
        keys.version(datanetId, version),
        // The policy is frozen here: receipts and epochs read it without opening the manifest.
        { datanetId, version, root, rows: totalRows, policy, createdAt, manifestSha256, contributionId },
        true,
      ),
      this.#registry.change({
        key: keys.contribution(datanetId, contributionId),
        set: { state: 'accepted', rowsAccepted: part.rowsAccepted, rowsRejected: part.rowsRejected, version },
        expect: { state: 'validating' },
      }),
      this.#registry.put(uploadKey(datanetId, part.sha256), { contributionId }),
      this.#registry.remove(ticketKey(datanetId, part.ticket)),
    ])
  }

  /**
   * Rejected with the reason, and out of the queue. False if the contribution is already decided, or is in the hands of
   * another execution than this one. One that was stopped before it claimed the upload is rejected too: nobody else will.
   */
  async reject(
    { datanetId, contributionId }: Pick<Upload, 'datanetId' | 'contributionId'>,
    execution: string,
    reason: Reason,
    rowsRejected?: number,
  ): Promise<boolean> {
    const key = keys.contribution(datanetId, contributionId)
    const set = { state: 'rejected', reason, rowsAccepted: 0, ...(rowsRejected === undefined ? {} : { rowsRejected }) }
    for (let attempt = 0; attempt < 100; attempt++) {
      const ingestion = await this.#ingestion(datanetId, contributionId)
      if (ingestion && ingestion.execution !== execution) return false
      const state = ingestion ? 'validating' : 'awaiting-upload'
      const rejected = await this.#registry.write([
        this.#registry.change({ key, set, expect: { state } }),
        ...(ingestion ? this.#outOfQueue(datanetId, contributionId, ingestion) : []),
      ])
      if (rejected) return true
      const now = await this.contribution(datanetId, contributionId)
      if (now?.state !== 'validating' && now?.state !== 'awaiting-upload') return false
    }
    throw new OpenLedgerError('overloaded', 'The contribution changes all the time: try again.')
  }

  /** Holds only as long as the ticket is the one that was read: a function of a stopped execution may just be taking one. */
  #outOfQueue(datanetId: string, contributionId: string, { execution, ticket }: z.output<typeof Ingestion>) {
    const unchanged = { set: { execution }, expect: { execution, ticket: ticket ?? null } }
    return [
      this.#registry.change({ key: ingestionKey(datanetId, contributionId), ...unchanged }),
      ...(ticket ? [this.#registry.remove(ticketKey(datanetId, ticket))] : []),
    ]
  }

  async #ingestion(datanetId: string, contributionId: string): Promise<z.output<typeof Ingestion> | undefined> {
    return Ingestion.optional().parse(await this.#registry.get(ingestionKey(datanetId, contributionId)))
  }
}
