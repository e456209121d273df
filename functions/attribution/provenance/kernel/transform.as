// What induce.as leaves: which blocks of 64 suffixes tell all their rows, the rows that are told, and the transformed text.

import { heapTop, release, reserve } from './heap'
import { get, set } from './numbers'
import { KEPT, POSITION } from './shared'

export const SEPARATOR: i32 = 0xff
/** Every 64th suffix tells its row. */
export const SAMPLE_BITS: i32 = 6
export const SAMPLE_EVERY: i32 = 64
/** A block of 64 suffixes can be dense when all share this many bytes: an interval of a pattern is likely to cover it. */
const SHARED: i32 = 24
/** At most one block in so many is dense, so that samples are at most half as many again. */
const DENSE_IN: i32 = 256
const LEAST: i32 = 3
const MOST: i32 = 255
/** Of a block: no variety was told yet. */
export const UNKNOWN: u8 = 1
const SCORES: usize = memory.data((MOST + 1) * 4, 4)
/** The bytes before the suffixes of a block. */
const BYTES: usize = memory.data(SAMPLE_EVERY, 16)

/** A row for every 4,096 bytes of text: the one that holds the first of them. */
const GUIDE_BITS: i32 = 12
let guide: usize = 0
let guided: i32 = 0

/** Takes memory from the heap. */
function openGuide(n: i32, starts: usize, rows: i32): void {
  guide = reserve(((<usize>n >> GUIDE_BITS) + 1) << 2)
  guided = n >> GUIDE_BITS
  let row = 0
  for (let piece = 0; piece <= guided; piece++) {
    while (row + 1 < rows && load<i32>(starts + (<usize>(row + 1) << 2)) <= piece << GUIDE_BITS) row++
    store<i32>(guide + (<usize>piece << 2), row)
  }
}

/** The row whose text holds a position: the last start that is not behind it. */
function rowAt(starts: usize, rows: i32, position: u32): i32 {
  const piece = guide + (<usize>(position >> GUIDE_BITS) << 2)
  let low = load<i32>(piece)
  let high = position >> GUIDE_BITS < <u32>guided ? load<i32>(piece, 4) : rows - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (load<u32>(starts + (<usize>middle << 2)) <= position) low = middle
    else high = middle - 1
  }
  return low
}

// @ts-ignore: decorator
@inline
function numberAt(starts: usize, rows: i32, numbers: usize, position: u32): u32 {
  return load<u32>(numbers + (<usize>rowAt(starts, rows, position) << 2))
}

/** Whether the first and the last suffix of a block share a long prefix. */
function isAlike(text: usize, n: i32, first: i32, last: i32): bool {
  if (max<i32>(first, last) + SHARED > n) return false
  const a = text + <usize>first
  const b = text + <usize>last
  if (load<u64>(a) != load<u64>(b) || load<u64>(a, 8) != load<u64>(b, 8) || load<u64>(a, 16) != load<u64>(b, 16)) return false
  return equalTo(a, SEPARATOR) == 0 && equalTo(a + 8, SEPARATOR) == 0
}

/** Different bytes among the 64 before the suffixes of a block whose first and last share a long prefix; 0 if not enough. */
export function variety(text: usize, n: i32, first: i32, last: i32, bytes: usize): i32 {
  if (!isAlike(text, n, first, last)) return 0
  let different = 0
  for (let left: u64 = -1; left != 0; different++) {
    const byte = <i32>load<u8>(bytes + <usize>ctz<u64>(left))
    for (let part: usize = 0; part < 64; part += 16) left &= ~(equalTo(bytes + part, byte) << <u64>part)
  }
  return different < LEAST ? 0 : different
}

/** The same of a block of positions. */
export function varietyOf(text: usize, n: i32, places: usize): i32 {
  const first = load<i32>(places) & POSITION
  const last = load<i32>(places, (SAMPLE_EVERY - 1) * 4) & POSITION
  if (!isAlike(text, n, first, last)) return 0
  for (let i = 0; i < SAMPLE_EVERY; i++) store<u8>(BYTES + <usize>i, load<u8>(text + <usize>(get(places, i) & POSITION) - 1))
  return variety(text, n, first, last, BYTES)
}

/** A bit for each of 16 bytes. */
// @ts-ignore: decorator
@inline
function equalTo(bytes: usize, byte: i32): u64 {
  return <u64>(<u32>i8x16.bitmask(i8x16.eq(v128.load(bytes), i8x16.splat(<i8>byte))))
}

/** BYTES: what stands before the suffixes at some places. Nothing but independent loads: the processor overlaps their cache misses. */
function loadBefore(text: usize, places: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    const place = get(places, i)
    // A place that tells its byte looks at the text's beginning.
    const kept = <u32>place >= <u32>KEPT
    const found = <i32>load<u8>(text + (kept ? <usize>(place & POSITION) : 0) - 1)
    store<u8>(BYTES + <usize>i, <u8>(kept ? found : place))
  }
}

/**
 * Chooses the blocks of 64 suffixes that all tell their row: a bit each in `dense`, where each has a byte so far. First come
 * those in the widest intervals and with the most different bytes before them, and of these the first. Returns how many.
 */
export function chooseDense(text: usize, n: i32, sa: usize, dense: usize, samples: usize): i32 {
  const whole = n >> SAMPLE_BITS
  let run = 0
  for (let b = 0; b <= whole; b++) {
    let different = b < whole ? <i32>load<u8>(dense + <usize>b) : 0
    if (different == <i32>UNKNOWN || (b == whole && b << SAMPLE_BITS < n)) {
      const places = sa + (<usize>b << (SAMPLE_BITS + 2))
      set(samples, b, load<i32>(places) & POSITION)
      if (b < whole) {
        loadBefore(text, places, SAMPLE_EVERY)
        different = variety(text, n, load<i32>(places) & POSITION, load<i32>(places, (SAMPLE_EVERY - 1) * 4) & POSITION, BYTES)
      }
    }
    store<u8>(dense + <usize>b, <u8>different)
    if (different >= LEAST) run++
    else {
      // What stands in one interval of many blocks is asked for as one.
      for (let i = b - run; i < b; i++) {
        const p = dense + <usize>i
        store<u8>(p, <u8>min<i32>(load<u8>(p) + run, MOST))
      }
      run = 0
    }
  }
  memory.fill(SCORES, 0, (MOST + 1) * 4)
  for (let b = 0; b < whole; b++) {
    const p = SCORES + (<usize>load<u8>(dense + <usize>b) << 2)
    store<i32>(p, load<i32>(p) + 1)
  }
  let room = (whole + DENSE_IN - 1) / DENSE_IN
  let least = MOST + 1
  while (least > LEAST && load<i32>(SCORES + (<usize>(least - 1) << 2)) <= room) {
    least--
    room -= load<i32>(SCORES + (<usize>least << 2))
  }
  // `room` blocks of one score less find a place.
  let chosen = 0
  let bits: u8 = 0
  for (let b = 0; b < (whole + 64) >> 6 << 6; b++) {
    const score = b < whole ? <i32>load<u8>(dense + <usize>b) : 0
    let one = score >= least
    if (!one && score >= LEAST && score == least - 1 && room > 0) {
      one = true
      room--
    }
    bits |= <u8>one << <u8>(b & 7)
    chosen += <i32>one
    if ((b & 7) == 7) {
      store<u8>(dense + <usize>(b >> 3), bits)
      bits = 0
    }
  }
  return chosen
}

/**
 * Overwrites sa with the Burrows-Wheeler transform, one byte a suffix, and tells `numbers[row]` for every 64th suffix and every
 * suffix of a dense block (samples, where the positions of every 64th stand) and for every suffix that begins a row (firsts).
 * The text is preceded by a separator. Returns how many samples there are.
 */
export function finish(
  text: usize,
  n: i32,
  sa: usize,
  starts: usize,
  rows: i32,
  numbers: usize,
  dense: usize,
  chosen: i32,
  samples: usize,
  firsts: usize,
): i32 {
  const mark = heapTop()
  openGuide(n, starts, rows)
  const blocks = (n + SAMPLE_EVERY - 1) >> SAMPLE_BITS
  const count = blocks + chosen * (SAMPLE_EVERY - 1)
  // From the last, as they make place for those of dense blocks.
  let sample = samples + (<usize>count << 2)
  for (let block = blocks - 1; block >= 0; block--) {
    if ((load<u8>(dense + <usize>(block >> 3)) >> <u8>(block & 7)) & 1) {
      for (let i = SAMPLE_EVERY - 1; i >= 0; i--) {
        sample -= 4
        store<u32>(sample, numberAt(starts, rows, numbers, get(sa, (block << SAMPLE_BITS) + i) & POSITION))
      }
    } else {
      sample -= 4
      store<u32>(sample, numberAt(starts, rows, numbers, get(samples, block)))
    }
  }
  let first = firsts
  for (let from = 0; from < n; from += SAMPLE_EVERY) {
    const inside = min<i32>(SAMPLE_EVERY, n - from)
    const places = sa + (<usize>from << 2)
    const to = sa + <usize>from
    if (inside == SAMPLE_EVERY && !anyKept(places)) {
      for (let i: usize = 0; i < 64; i += 16) v128.store(to + i, bytesOf(places + (i << 2)))
      continue
    }
    loadBefore(text, places, inside)
    for (let i = 0; i < inside; i++) {
      if (<i32>load<u8>(BYTES + <usize>i) != SEPARATOR) continue
      store<u32>(first, numberAt(starts, rows, numbers, get(places, i) & POSITION))
      first += 4
    }
    memory.copy(to, BYTES, <usize>inside)
  }
  release(mark)
  return count
}

/** Whether one of 64 places keeps its position. */
function anyKept(places: usize): bool {
  let any = v128.load(places)
  for (let i: usize = 16; i < 256; i += 16) any = v128.or(any, v128.load(places + i))
  return v128.any_true(v128.and(any, i32x4.splat(KEPT & ~(1 << 31))))
}

/** The low bytes of 16 places. */
// @ts-ignore: decorator
@inline
function bytesOf(places: usize): v128 {
  const byte = i32x4.splat(255)
  const a = v128.and(v128.load(places), byte)
  const b = v128.and(v128.load(places, 16), byte)
  const c = v128.and(v128.load(places, 32), byte)
  const d = v128.and(v128.load(places, 48), byte)
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_u(a, b), i16x8.narrow_i32x4_u(c, d))
}
