import { createKeccak } from 'hash-wasm'
import { loadKernel } from './keccak/kernel.ts'

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
  const [hash, batch] = await Promise.all([createKeccak(256), loadKernel()])
  const digest = (input: Uint8Array): Uint8Array => {
    hash.init()
    hash.update(input)
    return hash.digest('binary')
  }
  return {
    digest,
    leaves: (packed, stride, count) => batch(batch(packed, stride, count), 32, count),
    pairs: (nodes, count) => batch(nodes, 64, count),
  }
}
