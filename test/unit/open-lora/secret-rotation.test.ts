import { describe, expect, it } from 'vitest'
import { inferenceSecret } from '../../../functions/open-lora/inference-secret.client.ts'
import { shardOrder } from '../../../functions/open-lora/routing.ts'
import { askInOrder, servingError } from '../../../functions/open-lora/serving.client.ts'
import { customAttributes } from '../../../functions/open-lora/signature.ts'

/** What SageMaker throws when a container answers so. */
const answered = (status: number, error: object = { message: 'no', code: 'x' }) =>
  Object.assign(new Error('ModelError'), {
    name: 'ModelError',
    OriginalStatusCode: status,
    OriginalMessage: JSON.stringify({ error }),
  })
const unsigned = () => servingError(answered(401, { message: 'the request is not signed for this endpoint' }))

describe('a rotated secret', () => {
  const [first, second] = shardOrder('x', ['s1', 's2']) as [string, string]
  /** Containers that take one secret each, and a client that knows `known` until it reads afresh. */
  const world = (takes: Record<string, string>, known: string, current: string) => {
    const asked: string[] = []
    let read = 0
    const ask = async (endpoint: string, body: string, attributes: string) => {
      asked.push(endpoint)
      if (attributes !== customAttributes(body, takes[endpoint]!, 0)) throw unsigned()
      return (async function* () {})()
    }
    const secret = async (afresh: boolean) => {
      if (afresh) read++
      return afresh ? current : known
    }
    const by = { secret, nowSeconds: 0, wake: async () => {} }
    return { asked, read: () => read, go: () => askInOrder(Object.keys(takes), 'x', '{}', by, ask) }
  }
  it('is read again when a container refuses the old one, and the same shard answers', async () => {
    const rotated = world({ [first]: 'new', [second]: 'new' }, 'old', 'new')
    await rotated.go()
    expect([rotated.asked, rotated.read()]).toEqual([[first, first], 1])
    const same = world({ [first]: 'new' }, 'new', 'new')
    await same.go()
    expect([same.asked, same.read()]).toEqual([[first], 0])
  })
  it('that no container knows yet is our fault for a while, never the caller’s', async () => {
    const behind = world({ [first]: 'old', [second]: 'old' }, 'older', 'new')
    await expect(behind.go()).rejects.toMatchObject({ code: 'unavailable', status: 503, retryAfter: 5 })
    expect(behind.asked).toEqual([first, first, second])
  })
  it('that one shard does not know yet is no matter where another does', async () => {
    const half = world({ [first]: 'old', [second]: 'new' }, 'new', 'new')
    await half.go()
    expect(half.asked).toEqual([first, first, second])
  })
  it('is kept for five minutes, and read afresh at most every five seconds', async () => {
    let version = 0
    const secrets = { send: async () => ({ SecretString: `v${++version}` }) } as never
    const at = (seconds: number, afresh = false) => inferenceSecret('arn', seconds * 1000, afresh, secrets)
    expect([await at(0), await at(299), await at(299, true), await at(302, true), await at(305)]).toEqual([
      'v1',
      'v1',
      'v2',
      'v2',
      'v2',
    ])
    expect(await at(600)).toBe('v3')
  })
})

describe('refusals of a container', () => {
  it.each([
    [401, 'unavailable', 503],
    [404, 'model-not-found', 404],
    [429, 'overloaded', 503],
    [400, 'invalid-request', 400],
    [500, 'unavailable', 503],
  ])('%i is %s', (status, code, shown) => {
    expect(servingError(answered(status))).toMatchObject({ code, status: shown })
  })
})
