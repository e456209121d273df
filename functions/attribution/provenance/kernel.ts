import { setFlagsFromString } from 'node:v8'
import { KERNEL } from './kernel/kernel-bytes.ts'

/** The WebAssembly kernel: one instance, with a memory of its own, per index built or opened. Addresses are bytes. */
export interface Kernel {
  readonly memory: WebAssembly.Memory
  /** `bytes` bytes above everything that was reserved before; released from the top by giving back `heapTop()`'s value. */
  reserve(bytes: number): number
  heapTop(): number
  release(to: number): void
  /** The suffix array alone (n + 1 numbers), for tests: an index needs no more than sortAndTransform tells. */
  sortText(text: number, n: number, sa: number): void
  /** The transformed text at `sa`, which has room for n + 128 numbers, and what stands beside it (kernel/sort-and-transform.as). Returns the samples. */
  sortAndTransform(
    text: number,
    n: number,
    sa: number,
    starts: number,
    rows: number,
    numbers: number,
    dense: number,
    samples: number,
    firsts: number,
  ): number
  packNumbers(numbers: number, count: number, bits: number, to: number): number
  encodeBlocks(bwt: number, n: number, to: number): number
  openBlocks(from: number, n: number): void
  openRows(dense: number, blocks: number, samples: number, firsts: number, bits: number, rows: number): void
  openSpans(n: number): void
  useTombstones(bitmap: number): void
  count(n: number, pattern: number, length: number): number
  spans(n: number, query: number, length: number, minLength: number): number
  rowsOf(lo: number, hi: number): number
  rowList(): number
}

let compiled: WebAssembly.Module | undefined

export function newKernel(): Kernel {
  compiled ??= compile()
  const exports = new WebAssembly.Instance(compiled).exports as unknown as Kernel
  return {
    ...exports,
    // WebAssembly's 32-bit addresses come out signed.
    reserve: (bytes) => exports.reserve(bytes) >>> 0,
    heapTop: () => exports.heapTop() >>> 0,
    rowList: () => exports.rowList() >>> 0,
    packNumbers: (...given) => exports.packNumbers(...given) >>> 0,
    encodeBlocks: (...given) => exports.encodeBlocks(...given) >>> 0,
  }
}

/**
 * V8 first compiles WebAssembly quickly and badly, and changes to its better code only between two calls: sorting a shard
 * is one call. So this module is compiled by the better compiler at once (measured: 8.2 instead of 4.6 MB/s).
 */
function compile(): WebAssembly.Module {
  setFlagsFromString('--no-liftoff')
  setFlagsFromString('--no-wasm-lazy-compilation')
  try {
    return new WebAssembly.Module(KERNEL)
  } finally {
    setFlagsFromString('--liftoff')
    setFlagsFromString('--wasm-lazy-compilation')
  }
}
