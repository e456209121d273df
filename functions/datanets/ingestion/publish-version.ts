import type { DatanetVersion, ProvenanceShard, VersionPart } from '#schema/datanets'
import type { IngestionRecords } from '../ingestion-records.store.ts'
import { partKeys, partRootsKey, versionKey } from '../places.ts'
import { manifestBytes, NO_ROOT, versionRoot } from '../versions/version-manifest.ts'
import type { Committed, Prepared, Upload } from './flow.ts'

interface Parts {
  records: IngestionRecords
  /** The manifest and the part roots of a published version. */
  version(key: string): Promise<DatanetVersion>
  roots(key: string): Promise<string[]>
  /** Writes and returns the sha256; with `once` an object of other bytes that is already there throws `conflict`. */
  put(key: string, body: string, once: boolean): Promise<string>
  now: () => Date
}

/**
 * Publishes the prepared part, and all earlier ones but those withdrawn, as the next version of its Datanet: writes the manifest, then moves the Datanet, the
 * contribution and the version record in one transaction. Only the holder of the first ticket comes here, so a manifest
 * under this number without a version record is left from a run that died, and is replaced.
 */
export const publishVersion = async (
  upload: Upload,
  prepared: Prepared,
  shards: ProvenanceShard[],
  { records, version, roots, put, now }: Parts,
): Promise<Committed> => {
  const { datanetId, contributionId } = upload
  const datanet = await records.datanet(datanetId)
  const contribution = await records.contribution(datanetId, contributionId)
  const ticket = await records.ticket(upload)
  if (!contribution || !ticket) throw new Error(`${contributionId} has no place in the registry`)
  if (contribution.state === 'accepted' && contribution.version)
    return { outcome: 'published', version: contribution.version }
  if (contribution.state !== 'validating') throw new Error(`${contributionId} is ${contribution.state}`)
  if (datanet.version !== prepared.baseVersion) return { outcome: 'stale' }

  const previous = datanet.version === 0 ? undefined : await version(versionKey(datanetId, datanet.version))
  const withdrawn = await records.withdrawn(datanetId)
  const isLive = ({ contribution }: VersionPart) => !withdrawn.has(contribution)
  const earlier = previous?.parts.filter(isLive) ?? []
  const earlierRoots = previous ? await roots(partRootsKey(datanetId, datanet.version)) : []
  const partRoots = [...earlierRoots.filter((_, i) => isLive(previous!.parts[i]!)), prepared.root]
  const n = datanet.version + 1
  const keys = partKeys(datanetId, contributionId)
  const part: VersionPart = {
    contribution: contributionId,
    contributor: contribution.contributor,
    rows: prepared.rows,
    rowsKey: keys.rows,
    rowsSha256: prepared.rowsSha256,
    shards,
    firstSequence: prepared.firstSequence,
  }
  const previousRoot = previous?.root ?? NO_ROOT
  const manifest: DatanetVersion = {
    datanetId,
    version: n,
    previousRoot,
    root: versionRoot(previousRoot, partRoots),
    rows: earlier.reduce((sum, { rows }) => sum + rows, prepared.rows),
    parts: [...earlier, part],
    licence: datanet.licence,
    policy: datanet.policy,
    createdAt: now().toISOString(),
  }
  await put(partRootsKey(datanetId, n), JSON.stringify(partRoots), false)
  const manifestSha256 = await putManifest(versionKey(datanetId, n), manifestBytes(manifest), put)
  const published = await records.publish(upload, {
    version: n,
    root: manifest.root,
    totalRows: manifest.rows,
    rowsAccepted: prepared.rows,
    rowsRejected: prepared.rejected,
    manifestSha256,
    createdAt: manifest.createdAt,
    sha256: contribution.sha256,
    ticket,
  })
  return published ? { outcome: 'published', version: n } : { outcome: 'stale' }
}

const putManifest = async (key: string, body: string, put: Parts['put']): Promise<string> => {
  try {
    return await put(key, body, true)
  } catch (error) {
    if ((error as { code?: string }).code !== 'conflict') throw error
    return put(key, body, false)
  }
}
