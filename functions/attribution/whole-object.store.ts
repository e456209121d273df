import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'

/** AWS's advice for throughput: ranges of 8-16 MB, in parallel (S3 User Guide, "Performance guidelines"). */
const RANGE_BYTES = 16 << 20

/** Bytes of an object; throws `not-found` naming the key. */
export const bytesOf = async (objects: Objects, key: string): Promise<number> => {
  const head = await objects.head(key)
  if (!head) throw new OpenLedgerError('not-found', `There is no object ${key}.`)
  return head.bytes
}

/** Fills `target` with the object's bytes from `from` on, by parallel range reads. */
export const readInto = async (objects: Objects, key: string, target: Uint8Array, from = 0): Promise<void> => {
  const starts = Array.from({ length: Math.ceil(target.length / RANGE_BYTES) }, (_, i) => i * RANGE_BYTES)
  await Promise.all(
    starts.map(async (start) => {
      const range: [number, number] = [from + start, from + Math.min(target.length, start + RANGE_BYTES)]
      target.set(await objects.bytes(key, { range }), start)
    }),
  )
}
