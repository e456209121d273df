import { describe, expect, it } from 'vitest'
import { EndpointScaling } from '../../../functions/open-lora/endpoint-scaling.client.ts'

/** What would be sent to AWS: the embedded one has no Application Auto Scaling. */
const recorded = async (instances: { min: number; max: number }, act: 'ensure' | 'remove' = 'ensure', gone = false) => {
  const sent: { name: string; input: Record<string, unknown> }[] = []
  const client = {
    send: async (command: { input: object }) => {
      sent.push({ name: command.constructor.name, input: command.input as Record<string, unknown> })
      if (gone && command.constructor.name === 'DeregisterScalableTargetCommand')
        throw Object.assign(new Error('no scalable target'), { name: 'ObjectNotFoundException' })
      return { PolicyARN: `arn:policy/${sent.length}` }
    },
  }
  await new EndpointScaling(instances, client as never, client as never)[act]('stack-base-influence')
  return sent
}

describe('scaling of the influence endpoint', () => {
  it('to zero: a target from zero, a policy on the backlog, and a step that wakes it by an alarm', async () => {
    const [target, backlog, wake, alarm] = await recorded({ min: 0, max: 3 })
    const resource = { ResourceId: 'endpoint/stack-base-influence/variant/all', ServiceNamespace: 'sagemaker' }
    expect(target).toMatchObject({
      name: 'RegisterScalableTargetCommand',
      input: { ...resource, MinCapacity: 0, MaxCapacity: 3 },
    })
    expect(backlog).toMatchObject({ input: { ...resource, PolicyType: 'TargetTrackingScaling' } })
    expect(wake).toMatchObject({ input: { ...resource, PolicyType: 'StepScaling' } })
    expect(alarm).toMatchObject({
      name: 'PutMetricAlarmCommand',
      input: {
        MetricName: 'HasBacklogWithoutCapacity',
        Dimensions: [{ Name: 'EndpointName', Value: 'stack-base-influence' }],
        AlarmActions: ['arn:policy/3'],
      },
    })
  })
  it.each([false, true])('goes with its endpoint, also where it is gone already: %j', async (gone) => {
    const [target, alarm] = await recorded({ min: 0, max: 1 }, 'remove', gone)
    expect(target).toMatchObject({
      name: 'DeregisterScalableTargetCommand',
      input: { ResourceId: 'endpoint/stack-base-influence/variant/all' },
    })
    expect(alarm).toMatchObject({ name: 'DeleteAlarmsCommand', input: { AlarmNames: ['stack-base-influence-wake'] } })
    expect(await recorded({ min: 1, max: 1 }, 'remove')).toEqual([])
  })
  it('not at all where the numbers are equal', async () => {
    expect(await recorded({ min: 1, max: 1 })).toEqual([])
  })
})
