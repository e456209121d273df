/** Who is pushed, and in which batches. Pure. */
export interface Due {
  position: number
  /** What the payee would get, units of 1e-18 OPEN. */
  amount: bigint
  /** It was never paid: two zero storage slots are written. */
  first: boolean
}

/**
 * Gas of a push, measured on anvil (test/bench/settlement.ts) and rounded up: a payee that was paid before, one that was
 * not, each hash of the multiproof (calldata and hashing), and the rest, with the reserve that the last transfer needs.
 */
export const GAS = { payee: 21_000n, firstPayee: 56_000n, hash: 900n, base: 250_000n } as const

/** Highest gas of one transaction (EIP-7825: 16,777,216), with room for what the estimate misses. */
const MAX_BATCH_GAS = 14_000_000n

/** Of the candidates, those whose unpaid amount reaches the threshold; the rest stays in the root and can be claimed. */
export const due = (
  candidates: readonly number[],
  earned: (position: number) => bigint,
  claimed: readonly bigint[],
  threshold: bigint,
): Due[] =>
  candidates
    .map((position, i) => ({ position, amount: earned(position) - claimed[i]!, first: claimed[i] === 0n }))
    .filter(({ amount }) => amount > 0n && amount >= threshold)

/**
 * Cuts the payees, in the order of their positions, into transactions. Neighbours share hashes: a gap of g leaves costs at
 * most 2 log2(g) of them, so that a payee in a batch is always cheaper than a claim of its own (which pays 21,000 gas for
 * its transaction and a whole proof). A batch of one is sent as a claim (settle-epochs.ts).
 */
export const batches = (payees: readonly Due[], depth: number, limit = MAX_BATCH_GAS): number[][] => {
  const all: number[][] = []
  const start = GAS.base + GAS.hash * BigInt(2 * depth)
  let gas = limit
  let last = 0
  for (const payee of payees) {
    const own = payee.first ? GAS.firstPayee : GAS.payee
    const hashes = BigInt(2 * Math.ceil(Math.log2(payee.position - last + 1)))
    if (gas + own + hashes * GAS.hash > limit) {
      all.push([])
      gas = start
    } else gas += hashes * GAS.hash
    gas += own
    last = payee.position
    all.at(-1)!.push(payee.position)
  }
  return all
}
