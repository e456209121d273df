import { keys } from '#registry/keys'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { BaseId } from '#schema/ids'
import { Hosting } from './hosting.client.ts'

const env = environment(
  'REGISTRY_TABLE',
  'MODELS_URI',
  'OPEN_LORA_IMAGE',
  'INFLUENCE_IMAGE',
  'HOSTING_ROLE_ARN',
  'HOSTING_INSTANCE_TYPE',
  'INFERENCE_SECRET_ARN',
  'ENDPOINT_PREFIX',
  'MAX_ENDPOINTS',
)
const records = new Records(env.REGISTRY_TABLE)
const hosting = new Hosting({
  roleArn: env.HOSTING_ROLE_ARN,
  instanceType: env.HOSTING_INSTANCE_TYPE,
  prefix: env.ENDPOINT_PREFIX,
  maxEndpoints: Number(env.MAX_ENDPOINTS),
  tags: [{ Key: 'openledger:owner', Value: env.ENDPOINT_PREFIX }],
})

/** Step of the training flow: the base model's serving and influence endpoints exist and answer, then the pool is published. */
export const handler = async (event: { baseId: string }): Promise<{ ready: boolean }> => {
  const baseId = BaseId.parse(event.baseId)
  const slug = baseId.replaceAll('.', '-')
  const shared = { MODELS_URI: env.MODELS_URI, BASE_ID: baseId }
  const serving = {
    name: `${env.ENDPOINT_PREFIX}-${slug}`,
    image: env.OPEN_LORA_IMAGE,
    environment: { ...shared, OPEN_LORA_MODE: 'hosting', HMAC_SECRET_ARN: env.INFERENCE_SECRET_ARN },
  }
  const influence = {
    name: `${env.ENDPOINT_PREFIX}-influence-${slug}`,
    image: env.INFLUENCE_IMAGE,
    environment: shared,
  }
  const ready = await Promise.all([hosting.ensure(serving), hosting.ensure(influence)])
  if (!ready.every(Boolean)) return { ready: false }
  await records.put(keys.pool(baseId), {
    baseId,
    endpoints: [serving.name],
    influenceEndpoint: influence.name,
    updatedAt: now().toISOString(),
  })
  return { ready: true }
}
