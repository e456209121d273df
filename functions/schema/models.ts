import * as z from 'zod'
import { AccountId, AdapterId, AdapterName, BaseId, DatanetId, ReceiptId, Sha256, TrainingId } from './ids.ts'
import { Amount, BasisPoints } from './money.ts'

export const FileDigest = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9._/-]{1,200}$/)
    .refine((name) => !name.split('/').includes('..') && !name.startsWith('/'), 'must stay inside the folder'),
  sha256: Sha256,
  bytes: z.number().int().min(0),
})

/** A base model imported once into the models bucket under `bases/<id>/`. */
export const BaseModel = z.strictObject({
  id: BaseId,
  state: z.enum(['importing', 'ready']),
  digest: Sha256,
  files: z.array(FileDigest).min(1).max(200),
  createdAt: z.iso.datetime(),
})
export type BaseModel = z.output<typeof BaseModel>

const Hyperparameters = z.strictObject({
  rank: z.number().int().min(1).max(256).default(16),
  alpha: z.number().min(1).max(512).default(32),
  dropout: z.number().min(0).max(0.5).default(0),
  targetModules: z.union([z.literal('all-linear'), z.array(z.string()).min(1)]).default('all-linear'),
  learningRate: z.number().positive().max(1).default(0.0002),
  epochs: z.number().positive().max(1000).default(3),
  maxSteps: z.number().int().min(1).max(1_000_000).optional(),
  batchSize: z.number().int().min(1).max(512).default(8),
  maxSequenceLength: z.number().int().min(16).max(131_072).default(256),
  seed: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(0),
  warmupRatio: z.number().min(0).max(0.5).default(0.05),
  schedule: z.enum(['linear', 'cosine', 'constant']).default('cosine'),
  evalFraction: z.number().min(0).max(0.5).default(0.05),
  /** Measurements of the held-out rows (twenty a run) without a better loss that end the run; left out: never. */
  earlyStopPatience: z.number().int().min(1).max(100).optional(),
})

/** Prices per 1,000 tokens and the platform's part are fixed on the adapter; changing them makes a new price record. */
export const Price = z.strictObject({ inputPer1000: Amount, outputPer1000: Amount })
export type Price = z.output<typeof Price>

export const FeeSplit = z
  .strictObject({
    ownerBps: BasisPoints,
    stakersBps: BasisPoints,
    contributorsBps: BasisPoints,
    stakersPayee: AccountId.optional(),
  })
  .refine(
    (split) => split.ownerBps + split.stakersBps + split.contributorsBps === 10_000,
    'must sum to 10,000 basis points',
  )
  .refine((split) => split.stakersBps === 0 || split.stakersPayee !== undefined, {
    path: ['stakersPayee'],
    message: 'stakers with a part need a named payee',
  })
export type FeeSplit = z.output<typeof FeeSplit>

/** What a builder picks without code. */
export const Recipe = z.strictObject({
  name: AdapterName,
  baseId: BaseId,
  datanets: z
    .array(z.strictObject({ id: DatanetId, version: z.number().int().min(1) }))
    .min(1)
    .max(20)
    // A later version holds the rows of the earlier ones: they would be counted twice as owners.
    .refine((list) => new Set(list.map(({ id }) => id)).size === list.length, 'one Datanet stands twice'),
  method: z.enum(['lora', 'qlora', 'full-precision-lora']).default('lora'),
  hyperparameters: Hyperparameters.prefault({}),
  price: Price,
  split: FeeSplit,
  /** Attribution is the adapter's policy, never the caller's choice. */
  attribution: z.enum(['provenance', 'full']).default('full'),
  /** Spending limits of the training job. */
  limits: z
    .strictObject({ maxSeconds: z.number().int().min(60).max(432_000).default(3600), maxCost: Amount.optional() })
    .prefault({}),
})
export type Recipe = z.output<typeof Recipe>

export const Training = z.strictObject({
  id: TrainingId,
  owner: AccountId,
  recipe: Recipe,
  state: z.enum(['queued', 'training', 'registering', 'completed', 'failed', 'stopped']),
  attempt: z.number().int().min(1),
  jobName: z.string().optional(),
  quote: Amount,
  /** Fixed at the start; 0 (also for trainings from before they were billed) costs nothing. Units of 1e-18 OPEN. */
  pricePerSecond: Amount.default('0'),
  /** Held from the owner's balance while the training runs: the time limit at that price. */
  worstCost: Amount.default('0'),
  /** What a completed training cost, and its receipt. */
  charged: Amount.optional(),
  receiptId: ReceiptId.optional(),
  reason: z.string().optional(),
  /** Of a completed training: why its adapter cannot be asked at once. */
  notice: z.string().optional(),
  adapterId: AdapterId.optional(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
})
export type Training = z.output<typeof Training>

/** What the job that registered an adapter took. Not in its manifest, whose digest is its id: a rerun takes another time. */
export const AdapterCosts = z.partialRecord(
  z.enum([
    'jobSeconds',
    'jobCpuSeconds',
    'fitSeconds',
    'fitCpuSeconds',
    'scorecardCpuSeconds',
    'storeBytes',
    'fitMemoryBytes',
  ]),
  z.number().min(0),
)

/** The registry's record of an adapter: immutable, keyed by digest. */
export const Adapter = z.strictObject({
  id: AdapterId,
  owner: AccountId,
  name: AdapterName,
  trainingId: TrainingId,
  baseId: BaseId,
  baseDigest: Sha256,
  datanets: z.array(
    z.strictObject({
      id: DatanetId,
      version: z.number().int().min(1),
      root: z.string(),
      trainedTokens: z.number().int().min(0),
    }),
  ),
  rank: z.number().int().min(1),
  price: Price,
  split: FeeSplit,
  attribution: z.enum(['provenance', 'full']),
  /** Units of 2^-20, from the scorecard; weighs the influence pool. */
  confidence: z
    .number()
    .int()
    .min(0)
    .max(1 << 20),
  scorecard: z.record(z.string(), z.unknown()).nullable(),
  costs: AdapterCosts.nullable().default(null),
  influenceDigest: Sha256.nullable(),
  metrics: z.record(z.string(), z.unknown()),
  maxTokens: z.number().int().min(1),
  createdAt: z.iso.datetime(),
})
export type Adapter = z.output<typeof Adapter>

/** A part of a name's receipts that another adapter answers, in basis points. */
const Canary = z.strictObject({ adapterId: AdapterId, shareBps: z.number().int().min(1).max(9_999) })

/** A name points at one adapter; `history` is every adapter it has pointed at, oldest first (roll back = promote an old one). */
export const AdapterNameRecord = z.strictObject({
  name: AdapterName,
  adapterId: AdapterId,
  owner: AccountId,
  history: z.array(AdapterId),
  canary: Canary.optional(),
  createdAt: z.iso.datetime(),
})
export type AdapterNameRecord = z.output<typeof AdapterNameRecord>

/** Where a name is to point. Without `canary` there is none; `expect` refuses when somebody pointed it elsewhere meanwhile. */
export const PromoteName = z.strictObject({
  adapterId: AdapterId,
  canary: Canary.optional(),
  expect: AdapterId.optional(),
})
export type PromoteName = z.output<typeof PromoteName>

/** The endpoints (shards) that serve one base model's adapters of one rank bucket, spread over them by rendezvous hashing. */
export const ServingPool = z.strictObject({
  baseId: BaseId,
  bucket: z.number().int().min(1),
  endpoints: z.array(z.string()).min(1),
  /** When somebody last asked, to the minute. */
  usedAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
})
export type ServingPool = z.output<typeof ServingPool>

/** What a base model's pools share. */
export const Pool = z.strictObject({
  baseId: BaseId,
  influenceEndpoint: z.string().optional(),
  updatedAt: z.iso.datetime(),
})
