/** Balances to build trees over, and a clock that other processes do not disturb. */
import { LEAF_BYTES, packLeaf } from '../../../functions/settlement/epoch/leaf.ts'

/** xorshift32: cheap and the same everywhere. */
export const numbers = (seed: number) => () => {
  seed ^= seed << 13
  seed ^= seed >>> 17
  seed ^= seed << 5
  return seed >>> 0
}

export const balances = (count: number, seed: number): Uint8Array => {
  const next = numbers(seed || 1)
  const packed = new Uint8Array(count * LEAF_BYTES)
  const words = () => Array.from({ length: 5 }, () => next().toString(16).padStart(8, '0')).join('')
  for (let i = 0; i < count; i++)
    packLeaf({ kind: 1, address: `0x${words()}`, amount: 1n + BigInt(next()) * 10n ** 12n }, packed, i * LEAF_BYTES)
  return packed
}

/** Seconds of processor time of the whole process, garbage collection included. */
export const cpu = <Result>(work: () => Result): { result: Result; seconds: number } => {
  const start = process.cpuUsage()
  const result = work()
  const { user, system } = process.cpuUsage(start)
  return { result, seconds: (user + system) / 1e6 }
}
