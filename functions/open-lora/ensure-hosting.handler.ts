import * as z from 'zod'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { BaseId } from '#schema/ids'
import { EndpointScaling } from './endpoint-scaling.client.ts'
import { Hosting } from './hosting.client.ts'
import { HostingDays } from './hosting-days.store.ts'
import { HostingGate } from './hosting-gate.store.ts'
import { PoolBook } from './pool-book.store.ts'
import { CONTAINER_ENV, poolContainers } from './pool-containers.ts'
import { bucketOf } from './pools.ts'

const env = environment(
  ...CONTAINER_ENV,
  'REGISTRY_TABLE',
  'HOSTING_INSTANCE_TYPE',
  'MAX_ENDPOINTS',
  'HOSTING_ACCOUNT_QUOTA',
  'HOSTING_DAILY_HOURS',
  'INFLUENCE_MIN_INSTANCES',
  'INFLUENCE_MAX_INSTANCES',
)
const records = new Records(env.REGISTRY_TABLE)
const pools = new PoolBook(records)
const days = new HostingDays(records)
const gate = new HostingGate(records)
const scaling = new EndpointScaling({
  min: Number(env.INFLUENCE_MIN_INSTANCES),
  max: Number(env.INFLUENCE_MAX_INSTANCES),
})
const hosting = new Hosting({
  instanceType: env.HOSTING_INSTANCE_TYPE,
  prefix: env.ENDPOINT_PREFIX,
  maxEndpoints: Number(env.MAX_ENDPOINTS),
  accountQuota: Number(env.HOSTING_ACCOUNT_QUOTA),
})
const Wanted = z.object({ baseId: BaseId, rank: z.number().int().min(1) })

/** The endpoints of a base model's rank bucket exist and answer, then the pool is published. Repeated until it is ready. */
export const handler = async (event: unknown): Promise<{ ready: boolean }> => {
  const { baseId, rank } = Wanted.parse(event)
  const bucket = bucketOf(rank)
  const { serving, influence } = poolContainers(env, baseId, bucket)
  const mayCreate = async () => {
    await gate.requireOpen()
    await days.requireLeft(Number(env.HOSTING_DAILY_HOURS), now())
  }
  let ready = true
  // One after the other: each looks at the limits with the ones before it in place.
  for (const container of [...serving, influence]) ready = (await hosting.ensure(container, mayCreate)) && ready
  if (!ready) return { ready }
  await scaling.ensure(influence.name)
  const at = now().toISOString()
  const endpoints = serving.map(({ name }) => name)
  await pools.publish({ baseId, bucket, endpoints, usedAt: at, updatedAt: at }, influence.name)
  return { ready }
}
