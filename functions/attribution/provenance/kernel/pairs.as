// Sorts keys (u64), and values (i32) along with them, by quicksort that partitions without branches.

const SMALL: i32 = 20
let luck: u32 = 1

// @ts-ignore: decorator
@inline
function keyOf(keys: usize, i: i32): u64 {
  return load<u64>(keys + (<usize>i << 3))
}

function medianOf(a: u64, b: u64, c: u64): u64 {
  return max<u64>(min<u64>(a, b), min<u64>(max<u64>(a, b), c))
}

function anyKey(keys: usize, count: i32): u64 {
  luck = luck * 1664525 + 1013904223
  return keyOf(keys, <i32>((<u64>luck * <u64>count) >> 32))
}

function pivotOf(keys: usize, count: i32): u64 {
  const a = medianOf(anyKey(keys, count), anyKey(keys, count), anyKey(keys, count))
  if (count < 200) return a
  const b = medianOf(anyKey(keys, count), anyKey(keys, count), anyKey(keys, count))
  return medianOf(a, b, medianOf(anyKey(keys, count), anyKey(keys, count), anyKey(keys, count)))
}

/** Equal keys come out in no particular order, but always in the same. */
export function sortPairs(keys: usize, values: usize, count: i32): void {
  while (count > SMALL) {
    const pivot = pivotOf(keys, count)
    let less = 0
    for (let i = 0; i < count; i++) less += swapped(keys, values, i, less, keyOf(keys, i) < pivot)
    if (less == 0) {
      // The pivot is the smallest: everything equal to it is in place.
      for (let i = 0; i < count; i++) less += swapped(keys, values, i, less, keyOf(keys, i) == pivot)
    } else if (less < count >> 1) sortPairs(keys, values, less)
    else {
      sortPairs(keys + (<usize>less << 3), values + (<usize>less << 2), count - less)
      count = less
      continue
    }
    keys += <usize>less << 3
    values += <usize>less << 2
    count -= less
  }
  for (let i = 1; i < count; i++) {
    const key = keyOf(keys, i)
    if (keyOf(keys, i - 1) <= key) continue
    const value = load<i32>(values + (<usize>i << 2))
    let at = i
    do {
      store<u64>(keys + (<usize>at << 3), keyOf(keys, at - 1))
      store<i32>(values + (<usize>at << 2), load<i32>(values + (<usize>(at - 1) << 2)))
      at--
    } while (at > 0 && keyOf(keys, at - 1) > key)
    store<u64>(keys + (<usize>at << 3), key)
    store<i32>(values + (<usize>at << 2), value)
  }
}

/** Exchanges pairs i and `first`; tells whether `first` moves on. */
// @ts-ignore: decorator
@inline
function swapped(keys: usize, values: usize, i: i32, first: i32, moves: bool): i32 {
  const key = keyOf(keys, i)
  const value = load<i32>(values + (<usize>i << 2))
  store<u64>(keys + (<usize>i << 3), keyOf(keys, first))
  store<i32>(values + (<usize>i << 2), load<i32>(values + (<usize>first << 2)))
  store<u64>(keys + (<usize>first << 3), key)
  store<i32>(values + (<usize>first << 2), value)
  return <i32>moves
}
