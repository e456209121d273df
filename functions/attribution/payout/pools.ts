/** Units of 2^-20: confidences, and the fine units in which evidence is summed over an epoch. */
export const FINE = 1n << 20n

export interface Split {
  ownerBps: number
  stakersBps: number
  contributorsBps: number
}

/** Pools of one receipt in units of 1e-18 OPEN; they sum to the net fee exactly. */
export interface Pools {
  owner: bigint
  stakers: bigint
  provenance: bigint
  influence: bigint
  residual: bigint
}

/**
 * Cuts the net fee into pools (attribution.md C, "Pools of a receipt"). Every pool is floored; what the floors leave,
 * and what has no evidence, is residual.
 * `totalBits` = information of all output tokens, `coveredBits` = of the credited ones; `confidence` in 2^-20 units,
 * 0 when influence was not asked for or did not run. An output without information has no evidence pools at all.
 */
export const cutPools = (
  net: bigint,
  split: Split,
  evidence: { totalBits: bigint; coveredBits: bigint; confidence: bigint },
): Pools => {
  if (net < 0n) throw new RangeError('a fee cannot be negative')
  if (evidence.coveredBits < 0n || evidence.coveredBits > evidence.totalBits)
    throw new RangeError('covered information must lie between 0 and the total')
  if (evidence.confidence < 0n || evidence.confidence > FINE) throw new RangeError('confidence must lie in 0..2^20')
  const part = (bps: number) => (net * BigInt(bps)) / 10_000n
  const owner = part(split.ownerBps)
  const stakers = part(split.stakersBps)
  const contributors = part(split.contributorsBps)
  const informed = evidence.totalBits > 0n
  const provenance = informed ? (contributors * evidence.coveredBits) / evidence.totalBits : 0n
  const influence = informed ? ((contributors - provenance) * evidence.confidence) / FINE : 0n
  return { owner, stakers, provenance, influence, residual: net - owner - stakers - provenance - influence }
}
