import { createHash, createHmac } from 'node:crypto'

/**
 * Custom attributes that the serving image demands: only who holds the secret can ask for an inference, so that no
 * other role of the account bypasses billing. Valid for `seconds` from `nowSeconds` (unix).
 */
export const customAttributes = (body: string, secret: string, nowSeconds: number, seconds = 120): string => {
  const expires = nowSeconds + seconds
  const digest = createHash('sha256').update(body).digest('hex')
  return `v1;${expires};${createHmac('sha256', secret).update(`${expires}.${digest}`).digest('hex')}`
}
