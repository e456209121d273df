import { createKeccak } from 'hash-wasm'

/** Batch Keccak-256, the hash of Ethereum (not SHA3-256). Offsets and results are bytes. */
export interface Keccak {
  digest(input: Uint8Array): Uint8Array
  /** Double-hashes `count` packed leaves of `stride` bytes into 32-byte hashes. */
  leaves(packed: Uint8Array, stride: number, count: number): Uint8Array
  /** Hashes `count` pairs of 32-byte nodes into their parents. */
  pairs(nodes: Uint8Array, count: number): Uint8Array
}

/** Loads the hash once; everything after it is synchronous. */
export const loadKeccak = async (): Promise<Keccak> => {
  const hash = await createKeccak(256)
  const digest = (input: Uint8Array): Uint8Array => {
    hash.init()
    hash.update(input)
    return hash.digest('binary')
  }
  return {
    digest,
    leaves(packed, stride, count) {
      const result = new Uint8Array(count * 32)
      for (let i = 0; i < count; i++) result.set(digest(digest(packed.subarray(i * stride, (i + 1) * stride))), i * 32)
      return result
    },
    pairs(nodes, count) {
      const result = new Uint8Array(count * 32)
      for (let i = 0; i < count; i++) result.set(digest(nodes.subarray(i * 64, i * 64 + 64)), i * 32)
      return result
    },
  }
}
