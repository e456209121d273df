import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'

/** AWS's advice for throughput: ranges of 8-16 MB, in parallel (S3 User Guide, "Performance guidelines"). */
const RANGE_BYTES = 16 << 20

/** An object by parallel range reads into one buffer; throws `not-found` naming the key. */
export const wholeObject = async (objects: Objects, key: string): Promise<Uint8Array> => {
  const head = await objects.head(key)
  if (!head) throw new OpenLedgerError('not-found', `There is no object ${key}.`)
  if (head.bytes <= RANGE_BYTES) return objects.bytes(key)
  const whole = new Uint8Array(head.bytes)
  const starts = Array.from({ length: Math.ceil(head.bytes / RANGE_BYTES) }, (_, i) => i * RANGE_BYTES)
  await Promise.all(
    starts.map(async (start) =>
      whole.set(await objects.bytes(key, { range: [start, Math.min(head.bytes, start + RANGE_BYTES)] }), start),
    ),
  )
  return whole
}
