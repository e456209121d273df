import { createHash } from 'node:crypto'
import type { AdapterNameRecord } from '#schema/models'

/**
 * Which adapter a name means for this receipt: the canary for its share of receipts, else what the name points at. The
 * receipt id alone decides, so a repeated request gets the same adapter, and anyone can check which one it had to be.
 */
export const adapterFor = ({ name, adapterId, canary }: AdapterNameRecord, receiptId: string): string => {
  if (!canary) return adapterId
  const draw = createHash('sha256').update(`${name}|${receiptId}`).digest().readUInt32BE(0)
  return draw < canary.shareBps * (2 ** 32 / 10_000) ? canary.adapterId : adapterId
}
