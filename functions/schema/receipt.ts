import * as z from 'zod'
import { PayoutPolicy } from './datanets.ts'
import { AccountId, AdapterId, AdapterName, BaseId, DatanetId, ReceiptId, RowId, Sha256, TrainingId } from './ids.ts'
import { FeeSplit, Price } from './models.ts'
import { Amount } from './money.ts'

/** Signed integer as a string of digits (influence weights in 2^-20 units, bits in 2^-16 units). */
const SignedDigits = z.string().regex(/^(0|-?[1-9][0-9]{0,38})$/)

/** What was answered and charged. Written once, in the settle, with a gapless sequence per balance shard. */
export const Billing = z.strictObject({
  receiptId: ReceiptId,
  payer: AccountId,
  shard: z.number().int().min(0),
  sequence: z.number().int().min(1),
  adapterId: AdapterId,
  adapterName: AdapterName,
  baseId: BaseId,
  /** Versions the adapter was trained on, with the policy frozen in each and the tokens trained from each. */
  datanets: z.array(
    z.strictObject({
      id: DatanetId,
      version: z.number().int(),
      root: z.string(),
      trainedTokens: z.number().int(),
      policy: PayoutPolicy,
    }),
  ),
  owner: AccountId,
  split: FeeSplit,
  price: Price,
  attribution: z.enum(['provenance', 'full']),
  /** The adapter's scorecard confidence, units of 2^-20. */
  confidence: z
    .number()
    .int()
    .min(0)
    .max(1 << 20),
  /** Accounts linked to the payer when the debit was made (same account, same payee address, declared link). */
  linkedToPayer: z.array(AccountId),
  /** sha256 over salt || bytes; the salt stands in the transcript and is erased with it. */
  requestDigest: Sha256,
  responseDigest: Sha256,
  promptTokens: z.number().int().min(0),
  completionTokens: z.number().int().min(0),
  finishReason: z.enum(['stop', 'length', 'cancelled', 'error']),
  /**
   * Stands on the receipt of a training only: no tokens, net 0, and the whole fee is the platform's,
   * seconds x pricePerSecond. Its digests are unsalted: of the recipe, and of the adapter's id.
   */
  training: z
    .strictObject({
      trainingId: TrainingId,
      attempt: z.number().int().min(1),
      /** SageMaker's BillableTimeInSeconds, at most the recipe's time limit. */
      seconds: z.number().int().min(0),
      pricePerSecond: Amount,
    })
    .optional(),
  /** net = ceil((T_in x R_in + T_out x R_out) / 1000); fee = net + platformFee. */
  net: Amount,
  platformFee: Amount,
  platformPayee: AccountId,
  fee: Amount,
  createdAt: z.iso.datetime(),
})
export type Billing = z.output<typeof Billing>

const SpanOwner = z.strictObject({
  row: RowId,
  cluster: RowId,
  datanetId: DatanetId,
  contributor: AccountId,
  sequence: z.number().int(),
})
/** A maximal stretch of the output that stands verbatim in the corpus. Offsets are half-open. */
export const ProvenanceSpan = z.strictObject({
  start: z.number().int(),
  end: z.number().int(),
  /** UTF-16 code units, so that a page can highlight with String.slice. */
  startChar: z.number().int(),
  endChar: z.number().int(),
  startToken: z.number().int(),
  endToken: z.number().int(),
  owners: z.array(SpanOwner),
  ownerCount: z.number().int(),
  clusterCount: z.number().int(),
  common: z.boolean(),
  inPrompt: z.boolean(),
  /** Which choice of the answer the offsets count in; left out, the first. */
  choice: z.number().int().min(1).optional(),
})
export type ProvenanceSpan = z.output<typeof ProvenanceSpan>

/** `quarantined` clusters (extreme self-influence) stay listed; their amount goes to the residual, not to the others. */
const Credit = z.strictObject({
  datanetId: DatanetId,
  cluster: RowId,
  contributor: AccountId,
  quarantined: z.literal(true).optional(),
})

/** Whose data shaped the answer: integer inputs of the payout rule, kept so that anyone can recompute the shares. */
export const Attribution = z.strictObject({
  status: z.enum(['full', 'provenance-only', 'unattributed', 'incomplete']),
  /** sha256 over the canonical JSON of method names, parameters, index digests and store digest. */
  methodDigest: Sha256,
  /** Why evidence is missing, when it is (shard that failed, store mismatch, time-out). */
  missing: z.array(z.string()),
  spans: z.array(ProvenanceSpan),
  /** Information in units of 2^-16 bit. */
  totalBits: SignedDigits,
  provenance: z.array(Credit.extend({ bits: SignedDigits })),
  /** Raw signed influence per cluster, units of 2^-20 of the scorer's scale. */
  influence: z.array(Credit.extend({ score: SignedDigits })),
  /** Split of the net fee. All amounts of 1e-18 OPEN; they sum to the net fee exactly. */
  pools: z.strictObject({ owner: Amount, stakers: Amount, provenance: Amount, influence: Amount, residual: Amount }),
  /** Provisional until the epoch closes: negative influence nets over the epoch. */
  shares: z.array(z.strictObject({ payee: AccountId, amount: Amount })),
  unattributed: Amount,
})
export type Attribution = z.output<typeof Attribution>

/** How the scoring of a receipt stands that waits for its influence: asked, or failed and asked again at `nextAt`. */
export const Scoring = z.strictObject({
  state: z.enum(['asked', 'failed']),
  attempts: z.number().int().min(1),
  at: z.iso.datetime(),
  /** Not asked again before. */
  nextAt: z.iso.datetime(),
  /** Why the last attempt that failed did: the influence image's code, `expired`, or `endpoint-failed`. */
  failure: z.string().optional(),
})
export type Scoring = z.output<typeof Scoring>

/** A completed receipt as it stands in the receipt log, one canonical JSON (RFC 8785) line each. */
export const Receipt = z.strictObject({
  billing: Billing,
  attribution: Attribution,
  epoch: z.number().int().min(1),
  completedAt: z.iso.datetime(),
})
export type Receipt = z.output<typeof Receipt>

/** A maximal stretch of the output that stands verbatim in documents of the request; offsets as in ProvenanceSpan. */
export const DocumentSpan = ProvenanceSpan.pick({
  start: true,
  end: true,
  startChar: true,
  endChar: true,
  startToken: true,
  endToken: true,
  choice: true,
}).extend({
  /** Ids, ascending: of all that hold it when they are at most 16, else of 16 of them. */
  documents: z.array(z.string()),
  documentCount: z.number().int().min(1),
})
export type DocumentSpan = z.output<typeof DocumentSpan>

export const Transcript = z.strictObject({
  receiptId: ReceiptId,
  adapterId: AdapterId,
  salt: z.string(),
  request: z.string(),
  response: z.string(),
  /** What the caller said it retrieved for the question: texts of the payer, erased with the transcript. */
  documents: z.array(z.strictObject({ id: z.string(), text: z.string() })).optional(),
  choices: z.array(
    z.strictObject({
      promptText: z.string(),
      promptTokens: z.array(z.number().int()),
      outputText: z.string(),
      outputTokens: z.array(z.strictObject({ id: z.number().int(), bytes: z.number().int() })),
    }),
  ),
})
export type Transcript = z.output<typeof Transcript>
