// Which suffixes of a text of bytes are rightmost S-type (RMS): smaller than the suffix after them, which is larger than the one
// after it. The last suffix is larger than the empty one behind it.

/** S-type of 64 suffixes by what their first bytes are to the second ones': less, or equal and the next is S-type. */
// @ts-ignore: decorator
@inline
function smaller(less: u64, equal: u64, next: u64): u64 {
  let s = less | (equal & (next << 63))
  s |= equal & (s >> 1)
  equal &= equal >> 1
  s |= equal & (s >> 2)
  equal &= equal >> 2
  s |= equal & (s >> 4)
  equal &= equal >> 4
  s |= equal & (s >> 8)
  equal &= equal >> 8
  s |= equal & (s >> 16)
  equal &= equal >> 16
  return s | (equal & (s >> 32))
}

/** Bytes of the map of n suffixes. */
export function rmsBytes(n: i32): usize {
  return <usize>((n + 63) >> 6) << 3
}

/** A bit a suffix in words of 64. Reads up to 64 bytes behind the text, which do not matter. Returns how many are RMS. */
export function markRms(text: usize, n: i32, map: usize): i32 {
  const last = (n - 1) >> 6
  let count = 0
  let above: u64 = 0
  for (let word = last; word >= 0; word--) {
    let less: u64 = 0
    let equal: u64 = 0
    for (let part: usize = 0; part < 64; part += 16) {
      const at = text + (<usize>word << 6) + part
      const own = v128.load(at)
      const next = v128.load(at, 1)
      less |= (<u64>(<u32>i8x16.bitmask(i8x16.lt_u(own, next)))) << <u64>part
      equal |= (<u64>(<u32>i8x16.bitmask(i8x16.eq(own, next)))) << <u64>part
    }
    // The last suffix is larger than the empty one.
    const inside: u64 = word == last ? (<u64>1 << <u64>((n - 1) & 63)) - 1 : <u64>-1
    const types = smaller(less & inside, equal & inside, above & 1)
    const bits = types & ~((types >> 1) | (above << 63))
    store<u64>(map + (<usize>word << 3), bits)
    count += <i32>popcnt<u64>(bits)
    above = types
  }
  return count
}
