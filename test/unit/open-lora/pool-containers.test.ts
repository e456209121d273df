import { expect, test } from 'vitest'
import { CONTAINER_ENV, poolContainers } from '../../../functions/open-lora/pool-containers.ts'

const env = {
  ...(Object.fromEntries(CONTAINER_ENV.map((name) => [name, name])) as Record<(typeof CONTAINER_ENV)[number], string>),
  ENDPOINT_PREFIX: 'house',
  HOSTING_SHARDS: '2',
  HOSTING_MAX_MODEL_TOKENS: '0',
  HOSTING_ENGINE: 'vllm',
}

test('shards serve their bucket with the engine of the configuration, and only with a signed request', () => {
  const { serving } = poolContainers(env, 'llama', 16)
  expect(serving.map(({ name }) => name)).toEqual(['house-llama-r16-0', 'house-llama-r16-1'])
  for (const { image, roleArn, environment } of serving) {
    expect([image, roleArn]).toEqual(['OPEN_LORA_IMAGE', 'HOSTING_ROLE_ARN'])
    expect(environment).toEqual({
      MODELS_URI: 'MODELS_URI',
      BASE_ID: 'llama',
      OPEN_LORA_MODE: 'hosting',
      OPEN_LORA_ENGINE: 'vllm',
      OPEN_LORA_MAX_RANK: '16',
      HMAC_SECRET_ARN: 'INFERENCE_SECRET_ARN',
    })
  }
})

test('the longest request is the model’s own, or the configuration’s', () => {
  const { serving } = poolContainers({ ...env, HOSTING_MAX_MODEL_TOKENS: '8192' }, 'llama', 16)
  expect(serving[0]?.environment).toMatchObject({ OPEN_LORA_MAX_MODEL_TOKENS: '8192' })
})

test('the influence of a base has a role, an image and places of its own, and no secret', () => {
  const { influence } = poolContainers(env, 'llama', 16)
  expect(influence).toMatchObject({
    name: 'house-llama-influence',
    image: 'INFLUENCE_IMAGE',
    roleArn: 'INFLUENCE_ROLE_ARN',
    async: { keyArn: 'SCORING_KEY_ARN', answersUri: expect.stringMatching(/^s3:\/\/RECEIPTS_BUCKET\/./) },
  })
  expect(influence.environment).toEqual({ MODELS_URI: 'MODELS_URI', BASE_ID: 'llama' })
})
