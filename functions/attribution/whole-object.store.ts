import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'

/** AWS's advice for throughput: ranges of 8-16 MB, in parallel (S3 User Guide, "Performance guidelines"). */
const RANGE_BYTES = 16 << 20

/** An object as it stands: an erasure replaces those of its part. */
export interface Found {
  bytes: number
  etag: string | undefined
}

/** Throws `not-found` naming the key. */
export const find = async (objects: Objects, key: string): Promise<Found> => {
  const head = await objects.head(key)
  if (!head) throw new OpenLedgerError('not-found', `There is no object ${key}.`)
  return head
}

/** Fills `target` with the object's bytes from `from` on, by parallel range reads; throws when it was replaced since it was found. */
export const readInto = async (
  objects: Objects,
  key: string,
  { etag }: Found,
  target: Uint8Array,
  from = 0,
): Promise<void> => {
  const starts = Array.from({ length: Math.ceil(target.length / RANGE_BYTES) }, (_, i) => i * RANGE_BYTES)
  await Promise.all(
    starts.map(async (start) => {
      const range: [number, number] = [from + start, from + Math.min(target.length, start + RANGE_BYTES)]
      target.set(await objects.bytes(key, { range, etag }), start)
    }),
  )
}
