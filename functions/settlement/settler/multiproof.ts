/** The multiproof of a push (format: contracts/src/EpochTree.sol, batchRoot). Pure. */
export interface Batch {
  /** Bytes of an amount; then one byte a step: v < 128 a subtree of 2^v leaves by its hash, v >= 128 a run of v - 127 leaves. */
  plan: Uint8Array
  hashes: Uint8Array[]
  /** address (20) | cumulative amount a payee, in the order of positions; amounts as short as the largest allows. */
  leaves: Uint8Array
}

const LEAF = 37
const ADDRESS = 20
const AMOUNT = 16
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
  const width = Math.max(...positions.map((position) => amountBytes(packed, position)))
  const plan: number[] = [width]
  const hashes: Uint8Array[] = []
  const leaves = new Uint8Array(positions.length * (ADDRESS + width))
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
      leaves.set(packed.subarray(index * LEAF + 1, index * LEAF + 1 + ADDRESS), written)
      leaves.set(packed.subarray((index + 1) * LEAF - width, (index + 1) * LEAF), written + ADDRESS)
      written += ADDRESS + width
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

/** Bytes of the amount at a position without its leading zeros, at least one. */
const amountBytes = (packed: Uint8Array, position: number): number => {
  const amount = packed.subarray((position + 1) * LEAF - AMOUNT, (position + 1) * LEAF)
  const zeros = amount.findIndex((byte) => byte !== 0)
  return zeros < 0 ? 1 : AMOUNT - zeros
}

const check = (positions: readonly number[], packed: Uint8Array): void => {
  if (positions.length === 0) throw new RangeError('a push needs a payee')
  positions.forEach((position, i) => {
    if (i > 0 && position <= positions[i - 1]!) throw new RangeError(`positions do not ascend at ${position}`)
    if (packed[position * LEAF] !== 1) throw new RangeError(`position ${position} is not a payee leaf`)
  })
}
