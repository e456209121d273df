/** Hashes of windows, each in two unsigned 32-bit halves; one array each, so that no object is made per window. */
export interface WindowHash {
  high: number[]
  low: number[]
}

const HIGH = 0x9e3779b1
const LOW = 0x85ebca6b

/**
 * Rolling polynomial hash of every window at an offset that is a multiple of `stride`, until `take` says true.
 * Returns whether it did.
 */
export function windowHashes(
  bytes: Uint8Array,
  window: number,
  stride: number,
  take: (high: number, low: number) => boolean,
): boolean {
  let [leaveHigh, leaveLow] = [1, 1]
  for (let i = 0; i < window; i++) {
    leaveHigh = Math.imul(leaveHigh, HIGH)
    leaveLow = Math.imul(leaveLow, LOW)
  }
  let [high, low] = [0, 0]
  for (let end = 0; end < bytes.length; end++) {
    const gone = end < window ? 0 : bytes[end - window]! + 1
    high = (Math.imul(high, HIGH) + bytes[end]! + 1 - Math.imul(gone, leaveHigh)) | 0
    low = (Math.imul(low, LOW) + bytes[end]! + 1 - Math.imul(gone, leaveLow)) | 0
    const start = end + 1 - window
    if (start >= 0 && start % stride === 0 && take(high >>> 0, low >>> 0)) return true
  }
  return false
}
