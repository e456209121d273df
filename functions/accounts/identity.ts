import { createHash, randomBytes } from 'node:crypto'

/** The same person at the same issuer is always the same account, without a table look-up. */
export const accountIdOf = (issuer: string, subject: string): string =>
  `acc_${sha256(`${issuer}|${subject}`).slice(0, 24)}`

/** `ol_` and 43 characters: 256 bits of chance. Only its hash is stored, so a leaked table opens nothing. */
export const newSecret = (): string => `ol_${randomBytes(32).toString('base64url')}`

export const isApiKey = (token: string): boolean => token.startsWith('ol_')

export const hashSecret = (secret: string): string => sha256(secret)

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
