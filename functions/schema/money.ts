import * as z from 'zod'

/** Money is an integer count of 1e-18 OPEN: a bigint in code, a string of digits in JSON, never a float. */
const MAX = (1n << 128n) - 1n

export const Amount = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,38})$/, 'must be a string of digits (units of 1e-18 OPEN)')
  .refine((digits) => digits.length < 39 || !/^[0-9]{39}$/.test(digits) || BigInt(digits) <= MAX, 'must be below 2^128')

/** Basis points: 10,000 make a whole. */
export const BasisPoints = z.number().int().min(0).max(10_000)
