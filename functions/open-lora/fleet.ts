import type { Endpoint } from './plan-sweep.ts'
import { isInfluence } from './pools.ts'

export interface Fleet {
  list(): Promise<Endpoint[]>
  remove(name: string): Promise<void>
}

/**
 * The endpoints of this deployment, each with what belongs to it. An influence endpoint's scaling target and alarm go first:
 * once the endpoint is gone nothing lists them any more, so what breaks off in between is tried again with the endpoint.
 */
export const fleetOf = (hosting: Fleet, scaling: Pick<Fleet, 'remove'>): Fleet => ({
  list: () => hosting.list(),
  remove: async (name) => {
    if (isInfluence(name)) await scaling.remove(name)
    await hosting.remove(name)
  },
})
