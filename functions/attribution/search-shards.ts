import type { ProvenanceShard, VersionPart } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import type { SearchedShard } from './evidence.ts'
import type { Library } from './library.store.ts'
import { ProvenanceError, type ProvenanceSpan, type SpanOptions } from './provenance/index.ts'
import type { RowTable } from './row-table.ts'
import type { Withdrawals } from './withdrawals.store.ts'

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

interface Output {
  text: string
  bytes: Uint8Array
}

/**
 * Spans of every output in every shard of the versions, shard by shard: the router filter says whether any of the outputs
 * can stand in it, only then its index is loaded and asked for all of them. Objects are immutable but for erased rows,
 * which the withdrawals rule out whether erased yet or not. A shard that is gone, damaged or too large is told in
 * `missing`; another fault of a read throws, so that the batch comes again, unless this is its `lastTry`.
 */
export const searchShards = async (
  library: Library,
  withdrawals: Pick<Withdrawals, 'of'>,
  versions: readonly Searched[],
  outputs: readonly string[],
  minLength: number,
  lastTry: boolean,
): Promise<Search> => {
  const loads: Loads = { shards: 0, ruledOut: 0, loaded: 0, loadedBytes: 0, loadSeconds: 0 }
  const search: Search = { shards: [], missing: [], loads }
  const queries = outputs.map((text) => ({ text, bytes: Buffer.from(text) }))
  const maxOwners = Math.max(NAMED_OWNERS, ...versions.map(({ policy }) => policy.maxClusters + 1))
  for (const { id, version } of versions) {
    const manifest = await missed(search, `version ${id}@${version}`, lastTry, () => library.version(id, version))
    if (!manifest) continue
    const withdrawn = await withdrawals.of(id)
    const live = manifest.parts.filter(({ contribution }) => withdrawn.get(contribution) !== null)
    await library.readAhead(live)
    for (const part of live) {
      const deleted = withdrawn.get(part.contribution) ?? NONE
      const tables = await tablesOf(library, part, search, lastTry)
      const versionEnd = Math.max(...[...tables.values()].map((table) => table.lastSequence))
      for (const [shard, table] of tables) {
        loads.shards++
        const spans = await missed(search, `provenance shard ${shard.indexKey}`, lastTry, () =>
          spansIn(library, shard, table, queries, { minLength, maxOwners }, deleted, loads),
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

/** Row tables of a contribution's shards, without those that cannot be read. */
const tablesOf = async (
  library: Library,
  part: VersionPart,
  search: Search,
  lastTry: boolean,
): Promise<Map<ProvenanceShard, RowTable>> => {
  const tables = new Map<ProvenanceShard, RowTable>()
  for (const shard of part.shards) {
    const table = await missed(search, `provenance shard ${shard.indexKey}`, lastTry, () => library.table(part, shard))
    if (table) tables.set(shard, table)
  }
  return tables
}

const spansIn = async (
  library: Library,
  shard: ProvenanceShard,
  table: RowTable,
  queries: readonly Output[],
  wanted: Pick<SpanOptions, 'minLength' | 'maxOwners'>,
  deleted: ReadonlySet<string>,
  loads: Loads,
): Promise<Map<string, ProvenanceSpan[]>> => {
  const asked = await possible(library, shard, queries, wanted.minLength)
  if (asked.length === 0) {
    loads.ruledOut++
    return new Map()
  }
  const index = await library.index(shard, ({ bytes, seconds }) => {
    loads.loaded++
    loads.loadedBytes += bytes
    loads.loadSeconds += seconds
  })
  const options = { ...wanted, deleted: deleted.size > 0 ? index.tombstones(deleted) : undefined }
  const found = new Map(asked.map(({ text, bytes }) => [text, index.spans(bytes, options)]))
  // A whole index, but of other rows: what it names would be paid to nobody without a word.
  for (const spans of found.values())
    if (spans.some(({ owners }) => owners.some((row) => !table.get(row))))
      throw new ProvenanceError('INDEX_FOREIGN', 'the index names rows that its shard does not have')
  return found
}

/** Outputs that the shard may hold. Without a readable filter, all of them: it only spares loads. */
const possible = async (
  library: Library,
  shard: ProvenanceShard,
  queries: readonly Output[],
  minLength: number,
): Promise<readonly Output[]> => {
  try {
    const filter = await library.filter(shard)
    return queries.filter(({ bytes }) => filter.mayHold(bytes, minLength))
  } catch {
    return queries
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
