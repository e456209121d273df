/**
 * A leaf of the settlement tree, packed: kind (1 byte: 0x01 cumulative earned of a payee, 0x02 cumulative spent of a
 * client) | address (20) | amount uint128 big-endian (16) = 37 bytes. `balances.bin` is these, by position.
 */
export const LEAF_BYTES = 37
export const EARNED = 1
export const SPENT = 2
export const MAX_AMOUNT = (1n << 128n) - 1n

export interface Leaf {
  kind: 1 | 2
  /** 0x and 40 lower-case hex digits. */
  address: string
  amount: bigint
}

export const packLeaf = (leaf: Leaf, target = new Uint8Array(LEAF_BYTES), offset = 0): Uint8Array => {
  if (leaf.amount < 0n || leaf.amount > MAX_AMOUNT) throw new RangeError(`amount ${leaf.amount} is not a uint128`)
  target[offset] = leaf.kind
  for (let i = 0; i < 20; i++) target[offset + 1 + i] = Number.parseInt(leaf.address.slice(2 + 2 * i, 4 + 2 * i), 16)
  writeAmount(target, offset, leaf.amount)
  return target
}

export const writeAmount = (target: Uint8Array, offset: number, amount: bigint): void => {
  const view = new DataView(target.buffer, target.byteOffset)
  view.setBigUint64(offset + 21, amount >> 64n)
  view.setBigUint64(offset + 29, amount & 0xffffffffffffffffn)
}

export const readAmount = (packed: Uint8Array, offset: number): bigint => {
  const view = new DataView(packed.buffer, packed.byteOffset)
  return (view.getBigUint64(offset + 21) << 64n) | view.getBigUint64(offset + 29)
}

export const unpackLeaf = (packed: Uint8Array, position: number): Leaf => {
  const offset = position * LEAF_BYTES
  const kind = packed[offset]
  if (kind !== EARNED && kind !== SPENT) throw new RangeError(`position ${position}: unknown kind of leaf ${kind}`)
  const address = `0x${Buffer.from(packed.buffer, packed.byteOffset + offset + 1, 20).toString('hex')}`
  return { kind, address, amount: readAmount(packed, offset) }
}
