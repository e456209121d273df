import type { Fees } from './item.ts'

/** What the chain asks now, in wei per gas. */
export interface Market {
  baseFee: bigint
  priorityFee: bigint
}

/** First offer: survives the base fee doubling (six full blocks), never above the cap. */
export const firstFees = (market: Market, cap: bigint): Fees => {
  const tip = min(market.priorityFee, cap)
  return { maxFeePerGas: min(2n * market.baseFee + tip, cap), maxPriorityFeePerGas: tip }
}

/**
 * A replacement must raise both caps; nodes ask 10%, OP-stack nodes too, we give 12.5% rounded up, or the market if it is higher.
 * Undefined when the cap leaves no room for a replacement that nodes accept.
 */
export const bumpedFees = (last: Fees, market: Market, cap: bigint): Fees | undefined => {
  const now = firstFees(market, cap)
  const maxFeePerGas = max(raise(last.maxFeePerGas), now.maxFeePerGas)
  const maxPriorityFeePerGas = max(raise(last.maxPriorityFeePerGas), now.maxPriorityFeePerGas)
  return maxFeePerGas <= cap && maxPriorityFeePerGas <= maxFeePerGas
    ? { maxFeePerGas, maxPriorityFeePerGas }
    : undefined
}

const raise = (fee: bigint): bigint => (fee * 9n + 7n) / 8n + (fee === 0n ? 1n : 0n)
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b)
