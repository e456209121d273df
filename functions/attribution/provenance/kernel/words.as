// Sorts numbers of 64 bits: by their bytes from the highest that differs while there are many, then by a quicksort that
// partitions without branches.

const SMALL: i32 = 20
const COPY: usize = memory.data(24 * 8, 16)
/** From so many on by 8 and by 16 bits at a time. */
const BYTES_FROM: i32 = 1 << 11
const PAIRS_FROM: i32 = 1 << 17
let luck: u32 = 1

// @ts-ignore: decorator
@inline
function at(words: usize, i: i32): u64 {
  return load<u64>(words + (<usize>i << 3))
}

function medianOf(a: u64, b: u64, c: u64): u64 {
  return max<u64>(min<u64>(a, b), min<u64>(max<u64>(a, b), c))
}

function any(words: usize, count: i32): u64 {
  luck = luck * 1664525 + 1013904223
  return at(words, <i32>((<u64>luck * <u64>count) >> 32))
}

/** Different words, in place. */
export function sortFew(words: usize, count: i32): void {
  while (count > SMALL) {
    let pivot = medianOf(any(words, count), any(words, count), any(words, count))
    if (count > 200)
      pivot = medianOf(
        pivot,
        medianOf(any(words, count), any(words, count), any(words, count)),
        medianOf(any(words, count), any(words, count), any(words, count)),
      )
    let less = 0
    for (let i = 0; i < count; i++) {
      const word = at(words, i)
      const to = words + (<usize>less << 3)
      store<u64>(words + (<usize>i << 3), load<u64>(to))
      store<u64>(to, word)
      less += <i32>(word < pivot)
    }
    if (less == 0) {
      // The pivot is the smallest.
      for (let i = 0; i < count; i++) {
        const word = at(words, i)
        if (word != pivot) continue
        store<u64>(words + (<usize>i << 3), load<u64>(words))
        store<u64>(words, word)
        break
      }
      less = 1
    } else if (less < count >> 1) sortFew(words, less)
    else {
      sortFew(words + (<usize>less << 3), count - less)
      count = less
      continue
    }
    words += <usize>less << 3
    count -= less
  }
  sortSmall(words, count)
}

/** Each word goes where as many are less, told without a branch. */
// @ts-ignore: decorator
@inline
function sortSmall(words: usize, count: i32): void {
  if (count < 2) return
  const end = COPY + (<usize>count << 3)
  // Words compare as signed numbers.
  for (let i: usize = 0; i < <usize>count << 3; i += 16) v128.store(COPY + i, v128.xor(v128.load(words + i), i64x2.splat(i64.MIN_VALUE)))
  store<u64>(end, i64.MAX_VALUE)
  for (let p = COPY; p < end; p += 8) {
    const word = load<i64>(p)
    const both = i64x2.splat(word)
    let less = i64x2.splat(0)
    for (let q = COPY; q < end; q += 16) less = i64x2.add(less, i64x2.gt_s(both, v128.load(q)))
    const place = i64x2.extract_lane(less, 0) + i64x2.extract_lane(less, 1)
    store<u64>(words - (<usize>place << 3), <u64>(word ^ i64.MIN_VALUE))
  }
}

/** Different words; `shift` is the lowest of the highest 16 bits that may differ. `spare` has room for them all, and a table. */
export function sortMany(words: usize, count: i32, shift: i32, spare: usize, tables: usize): void {
  if (count < BYTES_FROM || shift < 0) {
    sortFew(words, count)
    return
  }
  const wide = count >= PAIRS_FROM
  const digit = <u64>(wide ? shift : shift + 8)
  const kinds = wide ? 65536 : 256
  const mask = <u64>(kinds - 1)
  memory.fill(tables, 0, <usize>kinds << 2)
  for (let i = 0; i < count; i++) {
    const p = tables + (<usize>((at(words, i) >> digit) & mask) << 2)
    store<i32>(p, load<i32>(p) + 1)
  }
  let sum = 0
  for (let kind = 0; kind < kinds; kind++) {
    const p = tables + (<usize>kind << 2)
    const own = load<i32>(p)
    store<i32>(p, sum)
    sum += own
  }
  for (let i = 0; i < count; i++) {
    const word = at(words, i)
    const p = tables + (<usize>((word >> digit) & mask) << 2)
    const to = load<i32>(p)
    store<i32>(p, to + 1)
    store<u64>(spare + (<usize>to << 3), word)
  }
  memory.copy(words, spare, <usize>count << 3)
  let from = 0
  for (let kind = 0; kind < kinds; kind++) {
    const to = load<i32>(tables + (<usize>kind << 2))
    if (to - from > 1) sortMany(words + (<usize>from << 3), to - from, shift - (wide ? 16 : 8), spare, tables + (<usize>kinds << 2))
    from = to
  }
}
