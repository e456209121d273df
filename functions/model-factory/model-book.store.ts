import { keys, listing } from '#registry/keys'
import type { Objects } from '#registry/objects.store'
import type { Records } from '#registry/records.store'
import { type DatanetVersion, DatanetVersion as DatanetVersionSchema } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import { Adapter, AdapterNameRecord, BaseModel, type PromoteName, type Recipe, Training } from '#schema/models'

const FrozenTerms = DatanetVersionSchema.pick({ datanetId: true, version: true, root: true, policy: true }).loose()
type FrozenTerms = Pick<DatanetVersion, 'datanetId' | 'version' | 'root' | 'policy'>
const RUNNING = ['queued', 'training', 'registering'] as const

/** Base models, trainings, adapters and names. */
export class ModelBook {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  base = (id: string): Promise<BaseModel> => this.#records.get(BaseModel, keys.base(id), `base model ${id}`)
  findBase = (id: string): Promise<BaseModel | undefined> => this.#records.find(BaseModel, keys.base(id))
  putBase = (base: BaseModel): Promise<void> =>
    this.#records.put(keys.base(base.id), base, { partition: listing.bases, sort: base.id })
  releaseBase = (id: string, digest: string): Promise<BaseModel> =>
    this.#records.change(BaseModel, keys.base(id), { state: 'ready' }, { digest })
  async bases(): Promise<BaseModel[]> {
    return (await this.#records.listIndexed(BaseModel, listing.bases, { limit: 200 })).items
  }

  training = (id: string): Promise<Training> => this.#records.get(Training, keys.training(id), 'training')
  findTraining = (id: string): Promise<Training | undefined> => this.#records.find(Training, keys.training(id))
  createTraining = (training: Training): Promise<void> =>
    this.#records.create(keys.training(training.id), training, {
      partition: listing.trainingsOf(training.owner),
      sort: `${training.createdAt}#${training.id}`,
    })
  changeTraining = (id: string, changes: Partial<Training>, expect: Record<string, unknown> = {}): Promise<Training> =>
    this.#records.change(Training, keys.training(id), changes, expect)

  /** Puts an attempt into the queue; throws `wrong-state` when the training is not in one of `from` at attempt `after`. */
  queue = ({ id, attempt }: Training, after: number, from: Training['state'][], updatedAt: string): Promise<Training> =>
    this.changeTraining(id, { state: 'queued', attempt, reason: undefined, updatedAt } as Partial<Training>, {
      state: from,
      attempt: after,
    })

  /** False when the attempt is over already: a completed training, or the attempt of before a retry, stays as it is. */
  async failTraining(id: string, attempt: number, changes: Pick<Training, 'reason' | 'updatedAt'>): Promise<boolean> {
    try {
      await this.changeTraining(id, { ...changes, state: 'failed' }, { attempt, state: [...RUNNING] })
      return true
    } catch (error) {
      if (!(error instanceof OpenLedgerError) || error.code !== 'wrong-state') throw error
      return false
    }
  }

  /** The Datanet versions of an adapter with the policies frozen in them, in the adapter's order. */
  terms = (adapter: Adapter): Promise<FrozenTerms[]> =>
    Promise.all(
      adapter.datanets.map(({ id, version }) =>
        this.#records.get(FrozenTerms, keys.version(id, version), 'Datanet version'),
      ),
    )

  adapter = (id: string): Promise<Adapter> => this.#records.get(Adapter, keys.adapter(id), 'adapter')

  /** Refuses a name that another account owns: names are first come, first served. */
  async requireName(name: string, owner: string): Promise<void> {
    const record = await this.#records.find(AdapterNameRecord, keys.name(name))
    if (record && record.owner !== owner)
      throw new OpenLedgerError('forbidden', `name: ${name} belongs to somebody else`, { param: 'name' })
  }

  name = (name: string): Promise<AdapterNameRecord> => this.#records.get(AdapterNameRecord, keys.name(name), 'name')

  /**
   * Points a name of `owner` at adapters of `owner`, in one conditional write. Throws `not-found` for a name or adapter that
   * is not the owner's, `stale-version` when the name points elsewhere than `expect`, or changed in any way while this was
   * looked at.
   */
  async point(name: string, owner: string, { adapterId, canary, expect }: PromoteName): Promise<AdapterNameRecord> {
    const record = await this.name(name)
    if (record.owner !== owner) throw new OpenLedgerError('not-found', 'There is no such name.')
    if (canary?.adapterId === adapterId)
      throw new OpenLedgerError('invalid-request', 'canary.adapterId: is the adapter itself', { param: 'canary' })
    const named = [...new Set([adapterId, ...(canary ? [canary.adapterId] : [])])]
    for (const adapter of await Promise.all(named.map((id) => this.adapter(id))))
      if (adapter.owner !== owner) throw new OpenLedgerError('not-found', 'There is no such adapter.')
    const moved = () =>
      new OpenLedgerError('stale-version', `${name} points at another adapter by now: look, and promote again.`)
    if (expect !== undefined && record.adapterId !== expect) throw moved()
    const fresh = named.filter((id) => !record.history.includes(id))
    try {
      return await this.#records.change(
        AdapterNameRecord,
        keys.name(name),
        { adapterId, canary, history: [...record.history, ...fresh] },
        asRead(record),
      )
    } catch (error) {
      if (!(error instanceof OpenLedgerError) || error.code !== 'wrong-state') throw error
      throw moved()
    }
  }

  /** Writes the immutable adapter, then points its name at it. Running it again changes nothing. */
  async register(adapter: Adapter): Promise<void> {
    await this.#records.create(keys.adapter(adapter.id), adapter).catch(unless('already-exists'))
    // Whoever moves the name meanwhile is not overwritten: looked at again, until the write is upon what was read.
    while (!(await this.#pointAt(adapter).catch(unless('already-exists', 'wrong-state'))));
  }

  /** True when the name points at the adapter. Throws `already-exists` or `wrong-state` when another was faster. */
  async #pointAt({ id, name, owner, createdAt }: Adapter): Promise<boolean> {
    const key = keys.name(name)
    const record = await this.#records.find(AdapterNameRecord, key)
    if (record && record.owner !== owner)
      throw new OpenLedgerError('forbidden', `name: ${name} belongs to somebody else`, { param: 'name' })
    if (!record) {
      const first = { name, adapterId: id, owner, history: [id], createdAt }
      await this.#records.create(key, first, { partition: listing.names, sort: name })
    } else if (record.adapterId !== id) {
      const history = [...record.history.filter((before) => before !== id), id]
      await this.#records.change(AdapterNameRecord, key, { adapterId: id, history }, asRead(record))
    }
    return true
  }
}

/** Names change under this expectation only: all that a change may touch is as it was read. An array is one of its values. */
const asRead = ({ owner, adapterId, canary, history }: AdapterNameRecord): Record<string, unknown> => ({
  owner,
  adapterId,
  canary: canary ?? null,
  history: [history],
})

/** Manifests of the Datanet versions that a recipe names; a version that is not there is the caller's error. */
export const recipeVersions = (data: Objects, recipe: Recipe): Promise<DatanetVersion[]> =>
  Promise.all(
    recipe.datanets.map(async ({ id, version }, i) => {
      try {
        return DatanetVersionSchema.parse(await data.json(`datanets/${id}/versions/${version}.json`))
      } catch (error) {
        if (!(error instanceof OpenLedgerError) || error.code !== 'not-found') throw error
        throw new OpenLedgerError('invalid-request', `datanets.${i}: ${id} has no version ${version}`, {
          param: `datanets.${i}`,
          cause: error,
        })
      }
    }),
  )

const unless =
  (...codes: OpenLedgerError['code'][]) =>
  (error: unknown): void => {
    if (!(error instanceof OpenLedgerError) || !codes.includes(error.code)) throw error
  }
