import { describe, expect, it } from 'vitest'
import { shardOrder } from '../../../functions/open-lora/routing.ts'

const shards = ['pool-a', 'pool-b', 'pool-c', 'pool-d', 'pool-e']
const adapters = Array.from({ length: 5000 }, (_, i) => i.toString(16).padStart(32, '0'))
const first = (pool: readonly string[]) => new Map(adapters.map((id) => [id, shardOrder(id, pool)[0]!]))

describe('the order in which an adapter asks its shards', () => {
  it('names every shard once, the same however the pool is listed', () => {
    for (const id of adapters.slice(0, 50)) {
      const order = shardOrder(id, shards)
      expect([...order].sort()).toEqual(shards)
      expect(shardOrder(id, [...shards].reverse())).toEqual(order)
    }
  })

  it('leaves the pool it was given as it was', () => {
    const pool = [...shards]
    shardOrder(adapters[7]!, pool)
    expect(pool).toEqual(shards)
  })

  it('spreads adapters evenly', () => {
    const counts = new Map<string, number>()
    for (const shard of first(shards).values()) counts.set(shard, (counts.get(shard) ?? 0) + 1)
    expect(counts.size).toBe(shards.length)
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130)
  })

  it('moves only the adapters of a shard that is lost, each to the shard it would have asked next', () => {
    const before = first(shards)
    const after = first(shards.filter((shard) => shard !== 'pool-c'))
    let moved = 0
    for (const id of adapters) {
      if (before.get(id) === after.get(id)) continue
      moved++
      expect(before.get(id)).toBe('pool-c')
      expect(after.get(id)).toBe(shardOrder(id, shards)[1])
    }
    expect(moved / adapters.length).toBeGreaterThan(0.17)
    expect(moved / adapters.length).toBeLessThan(0.23)
  })

  it('moves 1/(K+1) of the adapters to a shard that is added, and no others', () => {
    const before = first(shards)
    const after = first([...shards, 'pool-f'])
    const moved = adapters.filter((id) => before.get(id) !== after.get(id))
    expect(moved.every((id) => after.get(id) === 'pool-f')).toBe(true)
    expect(Math.abs(moved.length / adapters.length - 1 / 6)).toBeLessThan(0.03)
  })

  it('has no shard to ask in an empty pool', () => {
    expect(shardOrder(adapters[0]!, [])).toEqual([])
  })
})
