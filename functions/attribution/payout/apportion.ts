/**
 * Splits `total` units in proportion to `weights` by largest remainder (Hamilton 1792): floors first, then one unit each
 * to the largest remainders; ties go to the earlier index, so callers list by registration order. Sums to `total` exactly.
 * Throws RangeError for a negative total or weight, and when there is something to split but nobody to take it.
 */
export const apportion = (total: bigint, weights: readonly bigint[]): bigint[] => {
  if (total < 0n || weights.some((weight) => weight < 0n)) throw new RangeError('cannot split negative amounts')
  const sum = weights.reduce((a, b) => a + b, 0n)
  if (sum === 0n) {
    if (total === 0n) return weights.map(() => 0n)
    throw new RangeError('nothing to split by: all weights are zero')
  }
  const parts = weights.map((weight) => (total * weight) / sum)
  const remainders = weights.map((weight, index) => ({ index, rest: (total * weight) % sum }))
  remainders.sort((a, b) => (a.rest === b.rest ? a.index - b.index : a.rest > b.rest ? -1 : 1))
  let left = total - parts.reduce((a, b) => a + b, 0n)
  for (const { index } of remainders) {
    if (left === 0n) break
    parts[index]! += 1n
    left--
  }
  return parts
}
