import { encodeHeader } from '../clusters/signature-file.ts'
import type { DataObjects } from '../data-objects.store.ts'
import type { Limits } from '../formats/limits.ts'
import type { IngestionRecords } from '../ingestion-records.store.ts'
import { partKeys, versionKey } from '../places.ts'
import type { Spool } from '../row-spool.store.ts'
import { clusterRows } from './cluster-rows.ts'
import { earlierParts } from './earlier-parts.ts'
import { earlierCandidates } from './earlier-representatives.ts'
import type { ChunkSummary, Deduplicated, Upload } from './flow.ts'
import { loadCandidates } from './load-candidates.ts'
import { writePart } from './write-part.ts'

interface Parts {
  records: IngestionRecords
  objects: DataObjects
  read: (key: string) => Promise<Uint8Array>
  contributionsOf: (versionKey: string) => Promise<string[]>
  summaries: ChunkSummary[]
  spool: (name: string) => Spool
  limits: Limits
}

/**
 * Runs when it is the contribution's turn: seeks duplicates in the latest version and in the upload itself, and writes
 * the part (rows, rejections, signatures). Nothing is published yet; run again, it writes the same.
 */
export const deduplicateUpload = async (
  upload: Upload,
  ticket: number,
  { records, objects, read, contributionsOf, summaries, spool, limits }: Parts,
): Promise<Deduplicated> => {
  const { datanetId, contributionId } = upload
  const refusal = refusalOf(summaries, limits)
  if (refusal) return { outcome: 'refused', reason: refusal, rejected: 0 }
  const [datanet, contribution] = [
    await records.datanet(datanetId),
    await records.contribution(datanetId, contributionId),
  ]
  if (!contribution) throw new Error(`${contributionId} is not there`)
  const published = datanet.version === 0 ? [] : await contributionsOf(versionKey(datanetId, datanet.version))

  const candidates = await loadCandidates(upload, summaries, read, spool('candidates'))
  const { count, signatures } = candidates
  const earlier = await earlierCandidates(signatures, count, earlierParts(objects, datanetId, published))
  const sinks = { rows: spool('rows'), rejected: spool('rejected'), signatures: spool('signatures') }
  // How many rows there are is known at the end.
  sinks.signatures.append(encodeHeader(0))
  const origin = { contribution: contributionId, contributor: contribution.contributor, ticket }
  const { ranges, ...part } = await writePart(
    clusterRows({ count, signatures, candidate: candidates.candidate, earlier }, candidates.rejected(), origin),
    signatures,
    sinks,
    limits.shardBytes,
  )
  sinks.signatures.patch(0, encodeHeader(part.rows))

  const keys = partKeys(datanetId, contributionId)
  await put(objects, keys.rejected, sinks.rejected, 'application/jsonl')
  if (part.rows === 0)
    return {
      outcome: 'refused',
      reason: { code: 'no-rows-accepted', detail: noRows(part.rejected) },
      rejected: part.rejected,
    }
  await put(objects, keys.rows, sinks.rows, 'application/jsonl')
  await put(objects, keys.signatures, sinks.signatures, 'application/octet-stream')
  return {
    outcome: 'ready',
    rowsKey: keys.rows,
    shards: ranges.map((range, n) => ({ ...range, ...keys.shard(n) })),
    baseVersion: datanet.version,
    ...part,
  }
}

const noRows = (rejected: number): string => `All ${rejected} rows were refused: read the list of rejected rows.`

const refusalOf = (summaries: ChunkSummary[], limits: Limits) => {
  const refused = summaries.find(({ refusal }) => refusal)?.refusal
  if (refused) return refused
  const records = summaries.reduce((sum, summary) => sum + summary.records, 0)
  return records > limits.maxRows
    ? { code: 'too-many-rows' as const, detail: `${records} rows; at most ${limits.maxRows} are taken.` }
    : undefined
}

const put = async (objects: DataObjects, key: string, spool: Spool, contentType: string): Promise<void> => {
  spool.flush()
  await objects.putFile(key, spool.path, spool.bytes, contentType)
}
