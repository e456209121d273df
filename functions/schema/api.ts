import * as z from 'zod'
import { Account, ApiKey } from './accounts.ts'
import { Contribute, Contribution, CreateDatanet, Datanet, DatanetVersion, Member, RejectedRow } from './datanets.ts'
import { EpochRecord } from './epoch.ts'
import {
  AccountId,
  AdapterId,
  Address,
  BaseId,
  Bytes32,
  ContributionId,
  DatanetId,
  KeyId,
  ReceiptId,
  TrainingId,
} from './ids.ts'
import { ChatCompletionRequest, CompletionReply, CompletionRequest, ModelList } from './inference.ts'
import { Adapter, BaseModel, FileDigest, Recipe, Training } from './models.ts'
import { Amount } from './money.ts'
import { Attribution, Billing } from './receipt.ts'

/** Who may call at all; whose resource it is, the domain decides. `any` = a person or an API key. */
export type Access = 'public' | 'any' | 'person' | 'client' | 'operator'

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  /** `<room>/<verb-noun>`: the file functions/<room>/<verb-noun>.handler.ts */
  door: string
  access: Access
  summary: string
  params?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  reply: z.ZodType
  status?: 200 | 201 | 202
  stream?: boolean
}

const Page = { cursor: z.string().max(2000).optional(), limit: z.coerce.number().int().min(1).max(200).default(50) }
const page = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item), cursor: z.string().nullable() })
const datanet = z.strictObject({ datanetId: DatanetId })
const contribution = z.strictObject({ datanetId: DatanetId, contributionId: ContributionId })
const training = z.strictObject({ trainingId: TrainingId })
const receipt = z.strictObject({ receiptId: ReceiptId })

/** A presigned PUT: send exactly these headers with the bytes, before `expiresAt`. */
export const PresignedPut = z.strictObject({ url: z.string(), headers: z.record(z.string(), z.string()) })
export const UploadPart = z.strictObject({
  part: z.number().int().min(1),
  start: z.number().int(),
  end: z.number().int(),
  url: z.string(),
  done: z.boolean(),
})
export const UploadPlan = z.strictObject({
  contribution: Contribution,
  expiresAt: z.iso.datetime(),
  put: PresignedPut.optional(),
  multipart: z
    .strictObject({ uploadId: z.string(), partBytes: z.number().int(), parts: z.array(UploadPart) })
    .optional(),
})
export const AccountView = Account.extend({ balance: Amount, held: Amount, spent: Amount })
export const ReceiptView = z.strictObject({
  receiptId: ReceiptId,
  state: z.enum(['pending', 'completed']),
  billing: Billing,
  attribution: Attribution.nullable(),
  epoch: z.number().int().nullable(),
  /** Shares change until the epoch is closed. */
  provisional: z.boolean(),
  spanTexts: z.array(z.string()).optional(),
})
export const PayeeView = z.strictObject({
  address: Address,
  accountIds: z.array(AccountId),
  accrued: Amount,
  /** Cumulative amount proved against `root`; what the contract pays is this minus what was claimed. */
  claimable: Amount,
  proof: z
    .strictObject({
      epoch: z.number().int(),
      root: Bytes32,
      index: z.number().int(),
      amount: Amount,
      siblings: z.array(Bytes32),
    })
    .nullable(),
})
export const TrainingMetrics = z.strictObject({
  state: Training.shape.state,
  points: z.array(z.record(z.string(), z.number())),
})
export const Quote = z.strictObject({
  rows: z.number().int(),
  tokens: z.number().int(),
  steps: z.number().int(),
  seconds: z.number().int(),
  cost: Amount,
})
export const BaseImport = z.strictObject({
  base: BaseModel,
  uploads: z.array(PresignedPut.extend({ name: z.string() })),
})

/** Every route of the product: drives the gateway, the types, the documents and the access-matrix test. */
export const ROUTES = {
  getAccount: {
    method: 'GET',
    path: '/accounts/me',
    door: 'accounts/get-account',
    access: 'any',
    summary: 'Balance, holds and address of the caller',
    reply: AccountView,
  },
  updateAccount: {
    method: 'PUT',
    path: '/accounts/me',
    door: 'accounts/update-account',
    access: 'person',
    summary: 'Set the name and the payout address',
    body: z.strictObject({ name: z.string().max(100).optional(), address: Address.optional() }),
    reply: AccountView,
  },
  createKey: {
    method: 'POST',
    path: '/accounts/me/keys',
    door: 'accounts/create-key',
    access: 'person',
    summary: 'Make an API key; the secret is shown once',
    body: z.strictObject({
      name: z.string().min(1).max(100),
      budget: Amount.optional(),
      ratePerMinute: z.number().int().min(1).max(100_000).optional(),
    }),
    reply: z.strictObject({ key: ApiKey, secret: z.string() }),
    status: 201,
  },
  listKeys: {
    method: 'GET',
    path: '/accounts/me/keys',
    door: 'accounts/list-keys',
    access: 'person',
    summary: 'API keys of the account',
    reply: z.strictObject({ items: z.array(ApiKey) }),
  },
  revokeKey: {
    method: 'DELETE',
    path: '/accounts/me/keys/{keyId}',
    door: 'accounts/revoke-key',
    access: 'person',
    summary: 'Revoke an API key',
    params: z.strictObject({ keyId: KeyId }),
    reply: ApiKey,
  },
  creditAccount: {
    method: 'POST',
    path: '/accounts/{accountId}/credits',
    door: 'accounts/credit-account',
    access: 'operator',
    summary: 'Credit an account from the operator’s backed balance',
    params: z.strictObject({ accountId: AccountId }),
    body: z.strictObject({ amount: Amount, reference: z.string().min(1).max(100) }),
    reply: z.strictObject({ credited: z.boolean() }),
  },

  createDatanet: {
    method: 'POST',
    path: '/datanets',
    door: 'datanets/create-datanet',
    access: 'person',
    summary: 'Found a Datanet; the caller is its curator',
    body: CreateDatanet,
    reply: Datanet,
    status: 201,
  },
  listDatanets: {
    method: 'GET',
    path: '/datanets',
    door: 'datanets/list-datanets',
    access: 'any',
    summary: 'All Datanets',
    query: z.strictObject(Page),
    reply: page(Datanet),
  },
  getDatanet: {
    method: 'GET',
    path: '/datanets/{datanetId}',
    door: 'datanets/get-datanet',
    access: 'any',
    summary: 'One Datanet',
    params: datanet,
    reply: Datanet,
  },
  joinDatanet: {
    method: 'POST',
    path: '/datanets/{datanetId}/members',
    door: 'datanets/join-datanet',
    access: 'person',
    summary: 'Join as a contributor',
    params: datanet,
    reply: Member,
    status: 201,
  },
  contribute: {
    method: 'POST',
    path: '/datanets/{datanetId}/contributions',
    door: 'datanets/contribute',
    access: 'person',
    summary: 'Announce an upload and get presigned URLs',
    params: datanet,
    body: Contribute,
    reply: UploadPlan,
    status: 201,
  },
  getContribution: {
    method: 'GET',
    path: '/datanets/{datanetId}/contributions/{contributionId}',
    door: 'datanets/get-contribution',
    access: 'person',
    summary: 'State of a contribution',
    params: contribution,
    reply: Contribution,
  },
  resumeUpload: {
    method: 'POST',
    path: '/datanets/{datanetId}/contributions/{contributionId}/resume',
    door: 'datanets/resume-upload',
    access: 'person',
    summary: 'Fresh URLs for what has not arrived',
    params: contribution,
    reply: UploadPlan,
  },
  completeUpload: {
    method: 'POST',
    path: '/datanets/{datanetId}/contributions/{contributionId}/complete',
    door: 'datanets/complete-upload',
    access: 'person',
    summary: 'Assemble a multipart upload',
    params: contribution,
    reply: Contribution,
  },
  listRejectedRows: {
    method: 'GET',
    path: '/datanets/{datanetId}/contributions/{contributionId}/rejected-rows',
    door: 'datanets/list-rejected-rows',
    access: 'person',
    summary: 'Rejected rows with their reasons',
    params: contribution,
    query: z.strictObject(Page),
    reply: page(RejectedRow),
  },
  listVersions: {
    method: 'GET',
    path: '/datanets/{datanetId}/versions',
    door: 'datanets/list-versions',
    access: 'any',
    summary: 'Versions of a Datanet',
    params: datanet,
    query: z.strictObject(Page),
    reply: page(
      z.strictObject({
        version: z.number().int(),
        root: z.string(),
        rows: z.number().int(),
        createdAt: z.iso.datetime(),
      }),
    ),
  },
  getVersion: {
    method: 'GET',
    path: '/datanets/{datanetId}/versions/{version}',
    door: 'datanets/get-version',
    access: 'any',
    summary: 'Manifest of a version',
    params: datanet.extend({ version: z.coerce.number().int().min(1) }),
    reply: DatanetVersion,
  },

  listBaseModels: {
    method: 'GET',
    path: '/base-models',
    door: 'model-factory/list-base-models',
    access: 'any',
    summary: 'Base models that recipes can name',
    reply: z.strictObject({ items: z.array(BaseModel) }),
  },
  importBaseModel: {
    method: 'PUT',
    path: '/base-models/{baseId}',
    door: 'model-factory/import-base-model',
    access: 'operator',
    summary: 'Announce the files of a base model',
    params: z.strictObject({ baseId: BaseId }),
    body: z.strictObject({ files: z.array(FileDigest).min(1).max(200) }),
    reply: BaseImport,
    status: 201,
  },
  completeBaseModel: {
    method: 'POST',
    path: '/base-models/{baseId}/complete',
    door: 'model-factory/complete-base-model',
    access: 'operator',
    summary: 'Verify the uploaded files and release the base model',
    params: z.strictObject({ baseId: BaseId }),
    reply: BaseModel,
  },
  quoteRecipe: {
    method: 'POST',
    path: '/recipes:quote',
    door: 'model-factory/quote-recipe',
    access: 'person',
    summary: 'What a recipe would cost',
    body: Recipe,
    reply: Quote,
  },
  startTraining: {
    method: 'POST',
    path: '/trainings',
    door: 'model-factory/start-training',
    access: 'person',
    summary: 'Train the adapter of a recipe',
    body: Recipe,
    reply: Training,
    status: 202,
  },
  getTraining: {
    method: 'GET',
    path: '/trainings/{trainingId}',
    door: 'model-factory/get-training',
    access: 'person',
    summary: 'State of a training',
    params: training,
    reply: Training,
  },
  getTrainingMetrics: {
    method: 'GET',
    path: '/trainings/{trainingId}/metrics',
    door: 'model-factory/get-training-metrics',
    access: 'person',
    summary: 'Metrics per step, while it runs too',
    params: training,
    reply: TrainingMetrics,
  },
  retryTraining: {
    method: 'POST',
    path: '/trainings/{trainingId}/retry',
    door: 'model-factory/retry-training',
    access: 'person',
    summary: 'Train again after a failure',
    params: training,
    reply: Training,
    status: 202,
  },
  getAdapter: {
    method: 'GET',
    path: '/adapters/{adapterId}',
    door: 'model-factory/get-adapter',
    access: 'any',
    summary: 'An adapter with its scorecard',
    params: z.strictObject({ adapterId: AdapterId }),
    reply: Adapter,
  },

  chatCompletion: {
    method: 'POST',
    path: '/v1/chat/completions',
    door: 'open-lora/infer',
    access: 'client',
    summary: 'OpenAI-compatible chat completion',
    body: ChatCompletionRequest,
    reply: CompletionReply,
    stream: true,
  },
  completion: {
    method: 'POST',
    path: '/v1/completions',
    door: 'open-lora/infer',
    access: 'client',
    summary: 'OpenAI-compatible completion',
    body: CompletionRequest,
    reply: CompletionReply,
    stream: true,
  },
  listModels: {
    method: 'GET',
    path: '/v1/models',
    door: 'open-lora/list-models',
    access: 'any',
    summary: 'Adapters by name',
    reply: ModelList,
  },

  getReceipt: {
    method: 'GET',
    path: '/receipts/{receiptId}',
    door: 'attribution/get-receipt',
    access: 'any',
    summary: 'A receipt with spans, scores and shares',
    params: receipt,
    reply: ReceiptView,
  },
  getReceiptProof: {
    method: 'GET',
    path: '/receipts/{receiptId}/proof',
    door: 'settlement/get-receipt-proof',
    access: 'any',
    summary: 'What anyone needs to check the receipt offline',
    params: receipt,
    reply: z.looseObject({}),
  },
  listReceipts: {
    method: 'GET',
    path: '/receipts',
    door: 'attribution/list-receipts',
    access: 'any',
    summary: 'Receipts of the caller’s account',
    query: z.strictObject(Page),
    reply: page(ReceiptView),
  },
  getPayee: {
    method: 'GET',
    path: '/payees/{address}',
    door: 'settlement/get-payee',
    access: 'public',
    summary: 'Accrued and claimable, with the proof',
    params: z.strictObject({ address: Address }),
    reply: PayeeView,
  },
  listEpochs: {
    method: 'GET',
    path: '/epochs',
    door: 'settlement/list-epochs',
    access: 'any',
    summary: 'Epochs, newest first',
    query: z.strictObject(Page),
    reply: page(EpochRecord),
  },
  closeEpoch: {
    method: 'POST',
    path: '/epochs:close',
    door: 'settlement/close-epoch',
    access: 'operator',
    summary: 'Close the open epoch now instead of at its schedule',
    reply: z.strictObject({ epoch: z.number().int(), execution: z.string() }),
    status: 202,
  },
} as const satisfies Record<string, Route>

export type RouteId = keyof typeof ROUTES
