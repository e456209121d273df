import type { WindowHash } from './window-hash.ts'

/** A 3-wise binary fuse filter of 16-bit fingerprints (Graf, Lemire, "Binary fuse filters: fast and smaller than xor filters", 2022). */
export interface FuseFilter {
  seed: number
  /** Distinct keys. */
  count: number
  fingerprints: Uint16Array
}

/** Sizes that peel with high probability, from the paper's reference formulas for three hash functions. */
export function fuseSize(count: number): { segment: number; segments: number; slots: number } {
  if (count === 0) return { segment: 0, segments: 0, slots: 0 }
  const segment = Math.min(2 ** Math.floor(Math.log(Math.max(count, 2)) / Math.log(3.33) + 2.25), 1 << 18)
  const factor = count < 2 ? 3 : Math.max(1.125, 0.875 + (0.25 * Math.log(1e6)) / Math.log(count))
  const segments = Math.max(1, Math.ceil((count * factor) / segment) - 2)
  return { segment, segments, slots: (segments + 2) * segment }
}

/** Are the key's bytes perhaps in the filter? Wrongly true once in 65,536. */
export function holds(filter: FuseFilter, high: number, low: number): boolean {
  if (filter.count === 0) return false
  const { segment, segments } = fuseSizeOf(filter)
  const a = mixed(high, low, filter.seed)
  const b = mixed(low, a, filter.seed + 1)
  const [x, y, z] = [first(a, segment, segments), second(a, b, segment, segments), third(a, b, segment, segments)]
  const found = filter.fingerprints[x]! ^ filter.fingerprints[y]! ^ filter.fingerprints[z]!
  return found === fingerprint(a, b)
}

const sizes = new WeakMap<FuseFilter, ReturnType<typeof fuseSize>>()
function fuseSizeOf(filter: FuseFilter) {
  let size = sizes.get(filter)
  if (!size) {
    size = fuseSize(filter.count)
    sizes.set(filter, size)
  }
  return size
}

/** The finaliser of MurmurHash3 over both halves. */
function mixed(high: number, low: number, seed: number): number {
  let h = (high ^ Math.imul(low, 0xcc9e2d51) ^ Math.imul(seed, 0x1b873593)) | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ low ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

// Slots of a key: one in each of three neighbouring segments. `a` chooses the segment, so keys in order of `a` stay near.
const first = (a: number, segment: number, segments: number) => Math.floor((a / 2 ** 32) * segments * segment)
const second = (a: number, b: number, segment: number, segments: number) =>
  (first(a, segment, segments) + segment) ^ (b & (segment - 1))
const third = (a: number, b: number, segment: number, segments: number) =>
  (first(a, segment, segments) + 2 * segment) ^ ((b >>> 14) & (segment - 1))
const fingerprint = (a: number, b: number) => (a ^ (a >>> 16) ^ Math.imul(b, 0x27d4eb2f)) & 0xffff

/** Builds a filter of the distinct keys. The order in which keys come does not show. */
export function fuseFilter(keys: WindowHash): FuseFilter {
  for (let seed = 0; ; seed++) {
    const filter = peel(keys, seed)
    if (filter) return filter
  }
}

function peel({ high, low }: WindowHash, seed: number): FuseFilter | undefined {
  // Sorted by the mixed hash: equal keys are dropped, and keys that are near in the list use slots that are near.
  const sorted = new BigUint64Array(high.length)
  const words = new Uint32Array(sorted.buffer)
  for (let i = 0; i < high.length; i++) {
    const a = mixed(high[i]!, low[i]!, seed)
    words[2 * i + 1] = a
    words[2 * i] = mixed(low[i]!, a, seed + 1)
  }
  sorted.sort()
  let count = 0
  for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) sorted[count++] = sorted[i]!
  const { segment, segments, slots } = fuseSize(count)
  const keysAt = new Uint32Array(slots) // keys that use the slot and are not peeled yet
  const orOf = new Int32Array(slots) // exclusive or of their numbers
  const slotOf = (key: number, which: number) => {
    const a = words[2 * key + 1]!
    const b = words[2 * key]!
    return which === 0
      ? first(a, segment, segments)
      : which === 1
        ? second(a, b, segment, segments)
        : third(a, b, segment, segments)
  }
  for (let key = 0; key < count; key++) {
    for (let which = 0; which < 3; which++) {
      const slot = slotOf(key, which)
      keysAt[slot]!++
      orOf[slot]! ^= key
    }
  }
  const order = new Uint32Array(count)
  const chosen = new Uint32Array(count)
  let peeled = 0
  const waiting: number[] = []
  for (let slot = 0; slot < slots; slot++) {
    waiting.push(slot)
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (keysAt[at] !== 1) continue
      const key = orOf[at]!
      order[peeled] = key
      chosen[peeled++] = at
      for (let which = 0; which < 3; which++) {
        const other = slotOf(key, which)
        keysAt[other]!--
        orOf[other]! ^= key
        if (keysAt[other] === 1) waiting.push(other)
      }
    }
  }
  if (peeled < count) return undefined
  const fingerprints = new Uint16Array(slots)
  for (let i = count - 1; i >= 0; i--) {
    const key = order[i]!
    let value = fingerprint(words[2 * key + 1]!, words[2 * key]!)
    for (let which = 0; which < 3; which++) {
      const slot = slotOf(key, which)
      if (slot !== chosen[i]) value ^= fingerprints[slot]!
    }
    fingerprints[chosen[i]!] = value
  }
  return { seed, count, fingerprints }
}
