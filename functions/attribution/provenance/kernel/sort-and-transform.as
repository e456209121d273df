// From a text to its transform: RMS suffixes are sorted by prefixes (prefix-sort.as) and put where they belong, the others are placed
// by them (induce.as).

import { heapTop, release, reserve } from './heap'
import { induceLarger, induceSmaller, openInduction } from './induce'
import { get, set } from './numbers'
import { sortRms } from './prefix-sort'
import { KEPT } from './shared'
import { sortSuffixes } from './sort'
import { openBlockNotes } from './told'
import { chooseDense, finish, SAMPLE_EVERY, SEPARATOR } from './transform'

let text: usize = 0
let n: i32 = 0
let sa: usize = 0
let dense: usize = 0

/** pairs (65,537 numbers) = the first row of the suffixes that begin with each two bytes; the last suffix has a zero behind it. */
function pairRows(pairs: usize): void {
  const mark = heapTop()
  // Pairs that begin at even places, the first byte low, then at odd ones: what follows itself waits for no store.
  const odd = reserve(65536 << 2)
  const even = pairs
  memory.fill(even, 0, 65536 << 2)
  memory.fill(odd, 0, 65536 << 2)
  const after = load<u8>(text + <usize>n)
  store<u8>(text + <usize>n, 0)
  for (let i = 0; i < n; i += 2) {
    const own = even + (<usize>load<u16>(text + <usize>i) << 2)
    store<i32>(own, load<i32>(own) + 1)
    const next = odd + (<usize>load<u16>(text + <usize>i + 1) << 2)
    store<i32>(next, load<i32>(next) + <i32>(i + 1 < n))
  }
  store<u8>(text + <usize>n, after)
  for (let pair = 0; pair < 65536; pair++) set(odd, pair, get(odd, pair) + get(even, pair))
  let sum = 0
  for (let key = 0; key < 65536; key++) {
    set(pairs, key, sum)
    sum += get(odd, ((key & 255) << 8) | (key >> 8))
  }
  set(pairs, 65536, sum)
  release(mark)
}

/** Every place keeps its position, and tells its byte when all are sorted. */
function sortPlainly(): void {
  sortSuffixes<u8>(text, n, 256, sa, 0)
  for (let i = 0; i < n; i++) set(sa, i, get(sa, i) | KEPT)
}

function sortAndInduce(): void {
  const pairs = reserve(65537 << 2)
  const firsts = reserve(65537 << 2)
  const heads = reserve(257 * 4)
  const lasts = reserve(256 * 4)
  const limits = reserve(256 * 4)
  pairRows(pairs)
  if (sortRms(text, n, sa, pairs, firsts) < 0) {
    sortPlainly()
    return
  }
  // The list is at the beginning of sa, so its last parts leave first.
  for (let key = 65535; key >= 0; key--) {
    const from = get(firsts, key)
    memory.copy(sa + (<usize>get(pairs, key) << 2), sa + (<usize>from << 2), <usize>(get(firsts, key + 1) - from) << 2)
  }
  for (let c = 0; c < 256; c++) {
    set(heads, c, get(pairs, c << 8))
    set(lasts, c, get(pairs, (c + 1) << 8))
    set(limits, c, get(heads, c) + SAMPLE_EVERY - 1)
  }
  set(heads, 256, n)
  openInduction(text, n, sa, dense)
  induceSmaller(lasts, heads, firsts)
  induceLarger(heads, lasts, limits, pairs)
}

/**
 * sa (n + 128 numbers) = the transformed text, a byte a suffix. Tells `numbers[row]` for every 64th suffix and every suffix of a
 * dense block (samples) and for every suffix that begins a row (firsts), and which blocks are dense (a bit a block; there is
 * room for a byte each, and 64). Returns how many samples there are.
 */
export function sortAndTransform(
  bytes: usize,
  length: i32,
  rowsOfSuffixes: usize,
  starts: usize,
  rows: i32,
  numbers: usize,
  denseBits: usize,
  sampled: usize,
  firsts: usize,
): i32 {
  text = bytes
  n = length
  sa = rowsOfSuffixes
  dense = denseBits
  openBlockNotes(text, n, sa, dense, sampled)
  const mark = heapTop()
  const byteBefore = load<u8>(text - 1)
  store<u8>(text - 1, <u8>SEPARATOR)
  if (n < 2) set(sa, 0, KEPT)
  else sortAndInduce()
  const count = finish(text, n, sa, starts, rows, numbers, dense, chooseDense(text, n, sa, dense, sampled), sampled, firsts)
  store<u8>(text - 1, byteBefore)
  release(mark)
  return count
}
