import * as z from 'zod'
import { AccountId, ContributionId, DatanetId, RowId, Sha256 } from './ids.ts'

const Licence = z.strictObject({
  /** SPDX identifier where there is one, else a name of the Datanet's own. */
  id: z.string().min(1).max(100),
  uri: z.url().optional(),
  hash: Sha256.optional(),
})

/** How attributed pay is decided for rows of this Datanet (attribution.md C); frozen into every version. */
export const PayoutPolicy = z.strictObject({
  residual: z.discriminatedUnion('to', [
    z.strictObject({ to: z.literal('refund') }),
    z.strictObject({ to: z.literal('treasury'), payee: AccountId }),
  ]),
  /** A span that stands in more clusters than this is common language and pays nobody. */
  maxClusters: z.number().int().min(1).max(10_000).default(8),
  /** Shortest span that is evidence, in UTF-8 bytes. */
  minSpanBytes: z.number().int().min(16).max(1024).default(32),
  /** At most this part of one receipt's contributor pool for one cluster, in basis points. */
  capPerClusterBps: z.number().int().min(1).max(10_000).default(10_000),
  /** At most this much information per token counts, in bits. */
  capBitsPerToken: z.number().int().min(1).max(32).default(16),
})
export type PayoutPolicy = z.output<typeof PayoutPolicy>

export const Datanet = z.strictObject({
  id: DatanetId,
  name: z.string().min(1).max(100),
  field: z.string().min(1).max(60),
  description: z.string().max(2000).default(''),
  curator: AccountId,
  licence: Licence,
  policy: PayoutPolicy,
  /** Who may read the texts of spans: everybody, members only, or nobody but the row's contributor. */
  spanTexts: z.enum(['public', 'members', 'contributor']).default('members'),
  version: z.number().int().min(0),
  rows: z.number().int().min(0),
  createdAt: z.iso.datetime(),
})
export type Datanet = z.output<typeof Datanet>

export const Member = z.strictObject({ datanetId: DatanetId, accountId: AccountId, joinedAt: z.iso.datetime() })

const ContributionState = z.enum(['awaiting-upload', 'validating', 'accepted', 'rejected', 'withdrawn'])
export const Contribution = z.strictObject({
  id: ContributionId,
  datanetId: DatanetId,
  contributor: AccountId,
  state: ContributionState,
  filename: z.string().min(1).max(255),
  contentType: z.string().max(100),
  bytes: z.number().int().min(1),
  sha256: Sha256,
  /** The one S3 object version that ingestion reads. */
  versionId: z.string().optional(),
  uploadId: z.string().optional(),
  rowsAccepted: z.number().int().optional(),
  rowsRejected: z.number().int().optional(),
  /** Datanet version that first held these rows. */
  version: z.number().int().optional(),
  reason: z.strictObject({ code: z.string(), detail: z.string() }).optional(),
  createdAt: z.iso.datetime(),
})
export type Contribution = z.output<typeof Contribution>

/** One row as it stands in rows.jsonl: the unit that is trained on, indexed, attributed and paid. */
export const Row = z.strictObject({
  id: RowId,
  text: z.string().min(1),
  contribution: ContributionId,
  contributor: AccountId,
  cluster: RowId,
  start: z.number().int().min(0),
  end: z.number().int().min(0),
  sequence: z.number().int().min(0),
  prompt: z.string().optional(),
  completion: z.string().optional(),
  messages: z.array(z.strictObject({ role: z.string(), content: z.string() })).optional(),
})
export type Row = z.output<typeof Row>

export const RejectedRow = z.strictObject({
  row: z.number().int().min(0),
  start: z.number().int().min(0),
  end: z.number().int().min(0),
  code: z.string(),
  detail: z.string(),
})
export type RejectedRow = z.output<typeof RejectedRow>

/** Where one shard of a part's provenance index lies, and which bytes of the part's rows it covers. */
export const ShardPlace = z.strictObject({
  start: z.number().int().min(0),
  end: z.number().int().min(1),
  indexKey: z.string(),
  filterKey: z.string(),
  tableKey: z.string(),
})
export type ShardPlace = z.output<typeof ShardPlace>

/** One shard of a part: the index, the router filter that tells whether to load it, and whose its rows are. */
export const ProvenanceShard = ShardPlace.extend({
  rows: z.number().int().min(0),
  indexSha256: Sha256,
  filterSha256: Sha256,
  tableSha256: Sha256,
})
export type ProvenanceShard = z.output<typeof ProvenanceShard>

/** What one accepted contribution adds to a version. Keys are relative to the data bucket. */
export const VersionPart = z.strictObject({
  contribution: ContributionId,
  contributor: AccountId,
  rows: z.number().int().min(1),
  rowsKey: z.string(),
  rowsSha256: Sha256,
  /** In the order of the rows; several when the part is large. */
  shards: z.array(ProvenanceShard).min(1),
  firstSequence: z.number().int().min(0),
})
export type VersionPart = z.output<typeof VersionPart>

export const DatanetVersion = z.strictObject({
  datanetId: DatanetId,
  version: z.number().int().min(1),
  previousRoot: z.string(),
  /** Merkle root over the leaves of all live rows. */
  root: z.string(),
  rows: z.number().int().min(1),
  parts: z.array(VersionPart).min(1),
  licence: Licence,
  policy: PayoutPolicy,
  createdAt: z.iso.datetime(),
})
export type DatanetVersion = z.output<typeof DatanetVersion>

/**
 * What a contributor or curator took back: a whole contribution (`rows` is null) or some of its rows. Never changed and
 * never removed, so that a row once deleted is not named again.
 */
export const Withdrawal = z.strictObject({
  datanetId: DatanetId,
  contribution: ContributionId,
  rows: z.array(RowId).min(1).max(1000).nullable(),
  by: AccountId,
  createdAt: z.iso.datetime(),
})
export type Withdrawal = z.output<typeof Withdrawal>
export const Withdraw = z.strictObject({
  /** Rows to delete, or the whole contribution: there is no way back, so it has to be said. */
  rows: z.union([z.literal('all'), z.array(RowId).min(1).max(1000)]),
})

export const CreateDatanet = Datanet.pick({ name: true, field: true, licence: true }).extend({
  description: z.string().max(2000).optional(),
  policy: PayoutPolicy.partial().optional(),
  spanTexts: Datanet.shape.spanTexts.optional(),
})
export const Contribute = z.strictObject({
  filename: z.string().min(1).max(255),
  contentType: z.string().max(100).default('application/octet-stream'),
  bytes: z.number().int().min(1).max(50_000_000_000),
  sha256: Sha256,
})
