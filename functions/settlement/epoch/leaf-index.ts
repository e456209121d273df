import { LEAF_BYTES } from './leaf.ts'

/** Compares the 21 key bytes (kind and address) of a leaf with a key. */
const sameKey = (packed: Uint8Array, offset: number, key: Uint8Array): boolean => {
  for (let i = 20; i >= 0; i--) if (packed[offset + i] !== key[i]) return false
  return true
}

const hash = (bytes: Uint8Array, offset: number): number => {
  let h = 2166136261
  for (let i = 0; i < 21; i++) h = Math.imul(h ^ bytes[offset + i]!, 16777619)
  return h >>> 0
}

/**
 * Finds the position of (kind, address) among packed leaves: open addressing over one Int32Array, so that a million
 * leaves cost 8 MB and not a million strings. Throws RangeError when two leaves have the same key.
 */
export class LeafIndex {
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #packed: Uint8Array

  constructor(packed: Uint8Array) {
    const count = packed.length / LEAF_BYTES
    if (!Number.isInteger(count)) throw new RangeError(`${packed.length} bytes are not a whole number of leaves`)
    let size = 16
    while (size < count * 2) size *= 2
    this.#slots = new Int32Array(size).fill(-1)
    this.#mask = size - 1
    this.#packed = packed
    for (let position = 0; position < count; position++) {
      const offset = position * LEAF_BYTES
      const slot = this.#slotOf(packed.subarray(offset, offset + 21))
      if (this.#slots[slot] !== -1)
        throw new RangeError(`positions ${this.#slots[slot]} and ${position} have one address`)
      this.#slots[slot] = position
    }
  }

  /** Position of the leaf with these 21 key bytes, or -1. */
  find(key: Uint8Array): number {
    return this.#slots[this.#slotOf(key)]!
  }

  #slotOf(key: Uint8Array): number {
    let slot = hash(key, 0) & this.#mask
    while (this.#slots[slot] !== -1 && !sameKey(this.#packed, this.#slots[slot]! * LEAF_BYTES, key))
      slot = (slot + 1) & this.#mask
    return slot
  }
}
