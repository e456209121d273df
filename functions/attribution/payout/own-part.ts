import { FINE } from './pools.ts'

/**
 * Shortest stretch, bytes, that counts as an earlier row's text: the least that any PayoutPolicy may call evidence.
 * Fixed, not the curator's choice: it decides what rows of other Datanets earn.
 */
export const OWN_WINDOW = 16

/**
 * Part of each row that is its own: bytes outside every stretch of at least OWN_WINDOW bytes that an earlier row holds,
 * over all its bytes; floored, units of 2^-20. Rows in registry order, so later ones never lower an earlier one's (P19).
 * An empty row is its own.
 */
export const ownParts = (texts: readonly Uint8Array[]): bigint[] => {
  const seen = new Set<string>()
  return texts.map((bytes) => {
    const text = Buffer.from(bytes).toString('latin1')
    const windows = Array.from({ length: Math.max(0, text.length - OWN_WINDOW + 1) }, (_, at) =>
      text.slice(at, at + OWN_WINDOW),
    )
    let own = text.length
    let heldTo = 0
    windows.forEach((window, at) => {
      if (!seen.has(window)) return
      own -= at + OWN_WINDOW - Math.max(at, heldTo)
      heldTo = at + OWN_WINDOW
    })
    for (const window of windows) seen.add(window)
    return text.length === 0 ? FINE : (BigInt(own) * FINE) / BigInt(text.length)
  })
}

/**
 * A row's influence speaks for its own part only: near-copies, mosaics and bridges bring little that is theirs. Applied
 * before the scores of a receipt are scaled, so what is not counted makes nobody else's part smaller. Truncates to zero.
 */
export const ownInfluence = (score: bigint, ownPart: bigint): bigint => (score * ownPart) / FINE
