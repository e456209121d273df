import { createHash } from 'node:crypto'

/** One rank-64 adapter must not slow the rank-8 pool: adapters of a base are served by bucket of rank. */
const RANK_BUCKETS = [8, 16, 32, 64, 128, 256] as const
/** SageMaker API reference, EndpointName: letters, digits and hyphens. */
const NAME_LIMIT = 63

/** The smallest bucket that holds the rank. */
export const bucketOf = (rank: number): number =>
  RANK_BUCKETS.find((bucket) => rank <= bucket) ?? RANK_BUCKETS[RANK_BUCKETS.length - 1]!

/** Derived, so that a retry finds its own work. What does not fit, or would read like another base, ends in its digest. */
export const endpointName = (prefix: string, baseId: string, part: string): string => {
  const slug = baseId.replaceAll('.', '-')
  const name = `${prefix}-${slug}-${part}`
  if (slug === baseId && name.length <= NAME_LIMIT) return name
  const digest = createHash('sha256').update(baseId).digest('hex').slice(0, 8)
  const room = NAME_LIMIT - prefix.length - part.length - digest.length - 3
  return `${prefix}-${slug.slice(0, Math.max(1, room)).replace(/-+$/, '')}-${digest}-${part}`
}

export const servingNames = (prefix: string, baseId: string, bucket: number, shards: number): string[] =>
  Array.from({ length: shards }, (_, shard) => endpointName(prefix, baseId, `r${bucket}-${shard}`))
export const influenceName = (prefix: string, baseId: string): string => endpointName(prefix, baseId, 'influence')
export const isInfluence = (endpoint: string): boolean => endpoint.endsWith('-influence')
