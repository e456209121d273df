import { createHash } from 'node:crypto'

/**
 * Shards in the order in which an adapter asks them: rendezvous hashing (Thaler & Ravishankar, 1998), highest
 * sha256(shard | adapter) first. Adapters stay warm where they are, and losing one of K shards moves 1/K of them.
 */
export const shardOrder = (adapterId: string, shards: readonly string[]): string[] =>
  shards
    .map((shard) => ({ shard, weight: createHash('sha256').update(`${shard}|${adapterId}`).digest('hex') }))
    .sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : a.shard < b.shard ? -1 : 1))
    .map(({ shard }) => shard)
