// What kernel.ts calls. Addresses are bytes, numbers of suffixes below 2^31.

export { encodeBlocks, packNumbers } from './encode'
export { sortAndTransform } from './sort-and-transform'
export { heapTop, release, reserve } from './heap'
export { openBlocks } from './blocks'
export { openRows, rowList, rowsOf, useTombstones } from './rows'
export { count, openSpans, spans } from './spans'
import { prepareChunks } from './chunk'
import { sortSuffixes } from './sort'

/** sa (n + 1 numbers) = the suffix array of n bytes. */
export function sortText(text: usize, n: i32, sa: usize): void {
  sortSuffixes<u8>(text, n, 256, sa, 0)
}

prepareChunks()
