// Bits in chunks of 63, each a class (its number of ones, 6 bits) and an offset among all chunks of that class (Raman, Raman,
// Rao, "Succinct indexable dictionaries", 2002). Classes near the middle keep their bits as they are: an offset would save
// little there and take long to decode. 16 chunks make a superblock: their classes, then their offsets, padded to a byte.

export const CHUNK: i32 = 63
export const SUPERBLOCK: i32 = 16 * 63
export const CLASS_BYTES: usize = 12
const PLAIN_FROM: i32 = 22
const ALL: u64 = 0x7fffffffffffffff

/** BINOMIALS[n][k], n and k below 64. */
const BINOMIALS: usize = memory.data(64 * 64 * 8, 8)
/** Bits of an offset, by class. */
const WIDTHS: usize = memory.data(64, 8)

// @ts-ignore: decorator
@inline
function binomial(n: i32, k: i32): u64 {
  return load<u64>(BINOMIALS + (<usize>((n << 6) + k) << 3))
}

// @ts-ignore: decorator
@inline
export function width(ones: i32): i32 {
  return load<u8>(WIDTHS + <usize>ones)
}

export function prepareChunks(): void {
  for (let n = 0; n < 64; n++) {
    for (let k = 0; k < 64; k++) {
      let value: u64 = 0
      if (k == 0) value = 1
      else if (n > 0) value = binomial(n - 1, k - 1) + binomial(n - 1, k)
      store<u64>(BINOMIALS + (<usize>((n << 6) + k) << 3), value)
    }
  }
  for (let k = 0; k < 64; k++) {
    const few = min<i32>(k, CHUNK - k)
    const bits = few >= PLAIN_FROM ? CHUNK : 64 - <i32>clz<u64>(binomial(CHUNK, few) - 1)
    store<u8>(WIDTHS + <usize>k, few == 0 ? 0 : bits)
  }
}

/** The offset of a chunk, or its bits where the class is kept plain. */
export function encodeChunk(bits: u64, ones: i32): u64 {
  const few = min<i32>(ones, CHUNK - ones)
  if (few >= PLAIN_FROM) return bits
  let rest = ones == few ? bits : bits ^ ALL
  let offset: u64 = 0
  for (let k = few; k > 0; k--) {
    offset += binomial(62 - <i32>ctz<u64>(rest), k)
    rest &= rest - 1
  }
  return offset
}

/** Bits 0 to `last` of a chunk (higher ones may be wrong). */
export function decodeChunk(offset: u64, ones: i32, last: i32): u64 {
  const few = min<i32>(ones, CHUNK - ones)
  if (few >= PLAIN_FROM) return offset
  let bits: u64 = 0
  let k = few
  for (let i = 0; i <= last && k > 0; i++) {
    const zeros = binomial(62 - i, k)
    const one = offset >= zeros
    offset -= one ? zeros : 0
    bits |= (<u64>one) << <u64>i
    k -= <i32>one
  }
  return ones == few ? bits : bits ^ ALL
}

/** `count` (0 to 63) bits at a bit position. */
// @ts-ignore: decorator
@inline
export function loadBits(from: usize, at: i32, count: i32): u64 {
  const p = from + <usize>(at >> 3)
  const shift = <u64>(at & 7)
  const value = (load<u64>(p) >> shift) | ((<u64>load<u8>(p, 8) << 1) << (63 - shift))
  return value & ((<u64>1 << <u64>count) - 1)
}

/** Writes bits into cleared memory. */
export function storeBits(to: usize, at: i32, value: u64): void {
  const p = to + <usize>(at >> 3)
  const shift = <u64>(at & 7)
  store<u64>(p, load<u64>(p) | (value << shift))
  store<u8>(p, <u8>(<u64>load<u8>(p, 8) | ((value >> 1) >> (63 - shift))), 8)
}
