import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { EndpointScaling } from './endpoint-scaling.client.ts'
import { fleetOf } from './fleet.ts'
import { Hosting } from './hosting.client.ts'
import { HostingDays } from './hosting-days.store.ts'
import { planSweep } from './plan-sweep.ts'
import { PoolBook } from './pool-book.store.ts'

const env = environment(
  'REGISTRY_TABLE',
  'ENDPOINT_PREFIX',
  'HOSTING_IDLE_MINUTES',
  'HOSTING_DAILY_HOURS',
  'HOSTING_OVER_BUDGET',
  'INFLUENCE_MIN_INSTANCES',
  'INFLUENCE_MAX_INSTANCES',
)
const records = new Records(env.REGISTRY_TABLE)
const pools = new PoolBook(records)
const days = new HostingDays(records)
const fleet = fleetOf(
  new Hosting({ prefix: env.ENDPOINT_PREFIX, instanceType: '', maxEndpoints: 0, accountQuota: 0 }),
  new EndpointScaling({ min: Number(env.INFLUENCE_MIN_INSTANCES), max: Number(env.INFLUENCE_MAX_INSTANCES) }),
)
const dailySeconds = Number(env.HOSTING_DAILY_HOURS) * 3600

/** The janitor: counts the day's instance-hours, and takes down endpoints that failed, that no pool names, that idle, or are over budget. */
export const handler = async (): Promise<{ running: number; seconds: number; removed: number }> => {
  const at = now()
  const endpoints = await fleet.list()
  const seconds = await days.count(endpoints, at)
  const { pools: serving, influence } = await pools.all()
  const removals = planSweep({
    endpoints,
    pools: serving,
    kept: influence,
    now: at,
    idleMinutes: Number(env.HOSTING_IDLE_MINUTES),
    budgetSpent: dailySeconds > 0 && seconds >= dailySeconds,
    overBudget: env.HOSTING_OVER_BUDGET === 'stop' ? 'stop' : 'finish',
  })
  for (const { name, why } of removals) {
    logger.warn('endpoint taken down', { name, why })
    await fleet.remove(name)
  }
  return { running: endpoints.length, seconds, removed: removals.length }
}
