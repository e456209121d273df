import { describe, expect, it } from 'vitest'
import { Hosting } from '../../../functions/open-lora/hosting.client.ts'

const TYPE = 'ml.g5.xlarge'
interface Other {
  type?: string
  now?: number
  soon?: number
  status?: string
}

/** SageMaker as far as limits look at it; the embedded one has neither scaled endpoints nor quotas. */
const world = (others: Record<string, Other>, limited = false) => {
  const sent: string[] = []
  const left = new Set<string>()
  const answers: Record<string, (input: Record<string, string>) => unknown> = {
    DescribeEndpointCommand: ({ EndpointName: name }) => {
      const other = others[name!]
      if (!other) throw new Error(`Could not find endpoint "${name}".`)
      const variant = { VariantName: 'v', CurrentInstanceCount: other.now, DesiredInstanceCount: other.soon }
      return {
        EndpointStatus: other.status ?? 'InService',
        EndpointConfigName: name,
        ...(other.now === undefined ? {} : { ProductionVariants: [variant] }),
      }
    },
    DescribeEndpointConfigCommand: ({ EndpointConfigName: name }) => ({
      ProductionVariants: [{ VariantName: 'v', InstanceType: others[name!]?.type ?? TYPE, InitialInstanceCount: 2 }],
    }),
    ListEndpointsCommand: () => ({
      Endpoints: Object.keys(others).map((name) => ({
        EndpointName: name,
        EndpointArn: `arn:${name}`,
        EndpointStatus: others[name]!.status ?? 'InService',
        CreationTime: new Date(0),
      })),
    }),
    ListTagsCommand: () => ({ Tags: [{ Key: 'openledger:owner', Value: 'shop' }] }),
    CreateModelCommand: () => left.add('model'),
    CreateEndpointConfigCommand: () => left.add('config'),
    CreateEndpointCommand: () => {
      const message = "The account-level service limit 'ml.g5.xlarge for endpoint usage' is 0 Instances"
      if (limited) throw Object.assign(new Error(message), { name: 'ResourceLimitExceeded' })
    },
    DeleteEndpointConfigCommand: () => left.delete('config'),
    DeleteModelCommand: () => left.delete('model'),
  }
  const send = async (command: { input: Record<string, string> }) => {
    sent.push(command.constructor.name)
    return answers[command.constructor.name]!(command.input) ?? {}
  }
  const hosting = (accountQuota: number) =>
    new Hosting({ instanceType: TYPE, prefix: 'shop', maxEndpoints: 99, accountQuota }, { send } as never)
  const ensure = (accountQuota = 0) =>
    hosting(accountQuota).ensure({ name: 'shop-b-r8-0', image: 'i', environment: {}, roleArn: 'r' })
  return { sent, left, ensure, list: () => hosting(0).list() }
}

describe('the account’s quota', () => {
  it('counts instances of the type that is asked for, of everybody’s endpoints', async () => {
    const others = {
      'web-a': { now: 3, soon: 3 },
      'web-growing': { now: 1, soon: 2 },
      'web-new': { status: 'Creating' },
      'web-cpu': { type: 'ml.c5.large', now: 9, soon: 9 },
      'web-asleep': { now: 0, soon: 0 },
      'web-broken': { status: 'Failed' },
    }
    await expect(world(others).ensure(7)).rejects.toThrow('hosting.accountQuota), and runs 7')
    expect(await world(others).ensure(8)).toBe(false)
    // What no quota is given for is not looked at: others’ endpoints need no grant then.
    const { sent, ensure } = world(others)
    await ensure()
    expect(sent).not.toContain('DescribeEndpointConfigCommand')
  })
  it('that only SageMaker knows is told as what it is, and nothing is left of the try', async () => {
    const { left, ensure } = world({}, true)
    await expect(ensure()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('0 Instances'),
    })
    expect([...left]).toEqual([])
  })
})

describe('the list of the own endpoints', () => {
  it('says how many machines each has or is about to have', async () => {
    const own = {
      'shop-b-r8-0': { now: 1, soon: 1 },
      'shop-b-influence': { now: 0, soon: 0 },
      'shop-c-influence': { now: 2, soon: 3 },
      'shop-d-r8-0': { status: 'Creating' },
    }
    expect((await world(own).list()).map(({ instances }) => instances)).toEqual([1, 0, 3, 1])
  })
})
