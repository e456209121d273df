/** The multiproof of a push (format: contracts/src/EpochTree.sol, batchRoot). Pure. */
export interface Batch {
  /** One byte a step: v < 128 a subtree of 2^v leaves by its hash, v >= 128 a run of v - 127 payee leaves. */
  plan: Uint8Array
  hashes: Uint8Array[]
  /** address (20) | cumulative (16) a payee, in the order of positions. */
  leaves: Uint8Array
}

const LEAF = 37
const LONGEST_RUN = 128

/**
 * @param positions due payee leaves, ascending, no repeats
 * @param packed balances.bin: 37 bytes a leaf, kind first
 * @param node hash of the node at (level, index); empty subtrees included
 * @throws RangeError when positions are not ascending, or one is not a payee leaf
 */
export const multiproof = (
  positions: readonly number[],
  packed: Uint8Array,
  depth: number,
  node: (level: number, index: number) => Uint8Array,
): Batch => {
  check(positions, packed)
  const plan: number[] = []
  const hashes: Uint8Array[] = []
  const leaves = new Uint8Array(positions.length * (LEAF - 1))
  let written = 0
  let run = 0
  const endRun = () => {
    if (run > 0) plan.push(127 + run)
    run = 0
  }
  // from, to: the slice of positions inside the subtree (level, index).
  const walk = (level: number, index: number, from: number, to: number): void => {
    if (from === to) {
      endRun()
      plan.push(level)
      hashes.push(node(level, index))
      return
    }
    if (level === 0) {
      leaves.set(packed.subarray(index * LEAF + 1, (index + 1) * LEAF), written)
      written += LEAF - 1
      if (++run === LONGEST_RUN) endRun()
      return
    }
    const middle = (2 * index + 1) * 2 ** (level - 1)
    let split = from
    while (split < to && positions[split]! < middle) split++
    walk(level - 1, 2 * index, from, split)
    walk(level - 1, 2 * index + 1, split, to)
  }
  walk(depth, 0, 0, positions.length)
  endRun()
  return { plan: Uint8Array.from(plan), hashes, leaves }
}

const check = (positions: readonly number[], packed: Uint8Array): void => {
  if (positions.length === 0) throw new RangeError('a push needs a payee')
  positions.forEach((position, i) => {
    if (i > 0 && position <= positions[i - 1]!) throw new RangeError(`positions do not ascend at ${position}`)
    if (packed[position * LEAF] !== 1) throw new RangeError(`position ${position} is not a payee leaf`)
  })
}
