import type { EnvName } from '#schema/env'
import { scoringPlaces } from '#schema/scoring'
import type { Container } from './hosting.client.ts'
import { influenceName, servingNames } from './pools.ts'

export const CONTAINER_ENV = [
  'MODELS_URI',
  'OPEN_LORA_IMAGE',
  'INFLUENCE_IMAGE',
  'HOSTING_ROLE_ARN',
  'HOSTING_ENGINE',
  'HOSTING_SHARDS',
  'HOSTING_MAX_MODEL_TOKENS',
  'INFERENCE_SECRET_ARN',
  'ENDPOINT_PREFIX',
  'INFLUENCE_ROLE_ARN',
  'RECEIPTS_BUCKET',
  'SCORING_KEY_ARN',
] as const satisfies readonly EnvName[]

/** What runs behind the endpoints of a base model's rank bucket: its shards, and the influence of the base. */
export const poolContainers = (
  env: Record<(typeof CONTAINER_ENV)[number], string>,
  baseId: string,
  bucket: number,
): { serving: Container[]; influence: Container } => {
  const tokens = env.HOSTING_MAX_MODEL_TOKENS
  const shared = { MODELS_URI: env.MODELS_URI, BASE_ID: baseId }
  const serving = servingNames(env.ENDPOINT_PREFIX, baseId, bucket, Number(env.HOSTING_SHARDS)).map((name) => ({
    name,
    image: env.OPEN_LORA_IMAGE,
    roleArn: env.HOSTING_ROLE_ARN,
    environment: {
      ...shared,
      OPEN_LORA_MODE: 'hosting',
      OPEN_LORA_ENGINE: env.HOSTING_ENGINE,
      OPEN_LORA_MAX_RANK: String(bucket),
      ...(tokens === '0' ? {} : { OPEN_LORA_MAX_MODEL_TOKENS: tokens }),
      HMAC_SECRET_ARN: env.INFERENCE_SECRET_ARN,
    },
  }))
  const influence = {
    name: influenceName(env.ENDPOINT_PREFIX, baseId),
    image: env.INFLUENCE_IMAGE,
    environment: shared,
    roleArn: env.INFLUENCE_ROLE_ARN,
    async: {
      answersUri: `s3://${env.RECEIPTS_BUCKET}/${scoringPlaces.answers}`,
      failuresUri: `s3://${env.RECEIPTS_BUCKET}/${scoringPlaces.failures}`,
      keyArn: env.SCORING_KEY_ARN,
    },
  }
  return { serving, influence }
}
