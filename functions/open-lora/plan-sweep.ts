export interface Endpoint {
  name: string
  /** SageMaker's EndpointStatus. */
  status: string
  createdAt: Date
  /** Machines that it has or is about to have; an influence endpoint may have none. */
  instances: number
}
export interface PoolUse {
  endpoints: readonly string[]
  usedAt: string
}
export interface Removal {
  name: string
  why: 'failed' | 'orphan' | 'idle' | 'over-budget'
}

/** A flow publishes its endpoints when they answer; a GPU container may take half an hour to. */
const ORPHAN_MINUTES = 60
/** When the day's hours are spent, what nobody has asked for this long gives its machine back. */
const SPENT_IDLE_MINUTES = 5

/**
 * Which endpoints the janitor takes down: failed ones (the next training makes them anew), those that no pool names, and
 * those whose pool nobody has asked for `idleMinutes` (0: never). Traffic is not cut, unless the operator says `stop` to
 * what runs on when the day's hours are spent. Influence endpoints stay then too: receipts wait for them, and they scale alone.
 */
export const planSweep = (state: {
  endpoints: readonly Endpoint[]
  pools: readonly PoolUse[]
  /** Endpoints that belong to a pool and are never idle: the influence endpoints. */
  kept: readonly string[]
  now: Date
  idleMinutes: number
  budgetSpent: boolean
  overBudget: 'finish' | 'stop'
}): Removal[] => {
  const usedAt = new Map(state.pools.flatMap((pool) => pool.endpoints.map((name) => [name, pool.usedAt] as const)))
  const minutesSince = (time: Date) => (state.now.getTime() - time.getTime()) / 60_000
  const limit = state.budgetSpent
    ? Math.min(SPENT_IDLE_MINUTES, state.idleMinutes || SPENT_IDLE_MINUTES)
    : state.idleMinutes
  const reason = ({ name, status, createdAt }: Endpoint): Removal['why'] | undefined => {
    if (status === 'Deleting') return undefined
    if (status === 'Failed') return 'failed'
    if (state.kept.includes(name)) return undefined
    const used = usedAt.get(name)
    if (used === undefined) return minutesSince(createdAt) > ORPHAN_MINUTES ? 'orphan' : undefined
    if (state.budgetSpent && state.overBudget === 'stop') return 'over-budget'
    if (limit === 0 || status !== 'InService') return undefined
    return Math.min(minutesSince(new Date(used)), minutesSince(createdAt)) > limit ? 'idle' : undefined
  }
  return state.endpoints.flatMap((endpoint) => {
    const why = reason(endpoint)
    return why ? [{ name: endpoint.name, why }] : []
  })
}

/** Seconds that the instances of these endpoints ran since `from`: from its creation on, with as many as it has now. */
export const instanceSeconds = (endpoints: readonly Endpoint[], from: Date, now: Date): number =>
  endpoints
    .filter(({ status }) => status !== 'Failed')
    .reduce((sum, { createdAt, instances }) => {
      const start = Math.max(createdAt.getTime(), from.getTime())
      return sum + instances * Math.max(0, Math.round((now.getTime() - start) / 1000))
    }, 0)
