import type { Price } from '#schema/models'

export interface Fee {
  net: bigint
  platformFee: bigint
  fee: bigint
}

const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b

/**
 * Fee of an answer in units of 1e-18 OPEN: net = ceil((T_in x R_in + T_out x R_out) / 1000), the platform's part is
 * ceil(net x bps / 10,000) on top (architecture.md 6).
 */
export const feeOf = (tokens: { prompt: number; completion: number }, price: Price, platformBps: number): Fee => {
  const net = ceilDiv(
    BigInt(tokens.prompt) * BigInt(price.inputPer1000) + BigInt(tokens.completion) * BigInt(price.outputPer1000),
    1000n,
  )
  const platformFee = ceilDiv(net * BigInt(platformBps), 10_000n)
  return { net, platformFee, fee: net + platformFee }
}
