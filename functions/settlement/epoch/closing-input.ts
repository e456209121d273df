import * as z from 'zod'

const Closing = z.looseObject({ epoch: z.number().int().min(1), again: z.boolean().default(false) })

/** What every step of the close is given: which epoch, and whether it is closed again after a veto. */
export const closing = (input: unknown): { epoch: number; again: boolean } => Closing.parse(input)
