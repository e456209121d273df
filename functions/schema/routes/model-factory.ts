import * as z from 'zod'
import { AdapterId, BaseId, TrainingId } from '../ids.ts'
import { Adapter, AdapterNameRecord, BaseModel, FileDigest, PromoteName, Recipe, Training } from '../models.ts'
import { Amount } from '../money.ts'
import { PresignedPut, type Route } from './route.ts'

const training = z.strictObject({ trainingId: TrainingId })

const slug = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'must be a slug')
const named = z.strictObject({ namespace: slug, name: slug })

const TrainingMetrics = z.strictObject({
  state: Training.shape.state,
  points: z.array(z.record(z.string(), z.number())),
})
const Quote = z.strictObject({
  rows: z.number().int(),
  tokens: z.number().int(),
  steps: z.number().int(),
  seconds: z.number().int(),
  cost: Amount,
})
const BaseImport = z.strictObject({
  base: BaseModel,
  uploads: z.array(PresignedPut.extend({ name: z.string() })),
})

export const MODEL_FACTORY_ROUTES = {
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
  getName: {
    method: 'GET',
    path: '/names/{namespace}/{name}',
    door: 'model-factory/get-name',
    access: 'any',
    summary: 'Which adapter a name points at, and what it pointed at before',
    params: named,
    reply: AdapterNameRecord,
  },
  promoteName: {
    method: 'PUT',
    path: '/names/{namespace}/{name}',
    door: 'model-factory/promote-name',
    access: 'person',
    summary: 'Promote, roll back, begin or end a canary',
    params: named,
    body: PromoteName,
    reply: AdapterNameRecord,
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
} as const satisfies Record<string, Route>
