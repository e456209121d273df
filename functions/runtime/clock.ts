/** Time and chance come from here, so that pure code can be given others in tests. */
import { randomBytes } from 'node:crypto'

export const now = (): Date => new Date()
export const newId = (prefix: string): string => `${prefix}_${randomBytes(12).toString('hex')}`
