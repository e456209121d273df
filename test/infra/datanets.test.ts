import { App, Stack } from 'aws-cdk-lib'
import { Match, Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { Config } from '../../infra/config.ts'
import { House } from '../../infra/constructs/house.ts'
import { HouseFunction } from '../../infra/constructs/house-function.ts'
import { Datanets } from '../../infra/datanets.ts'
import { Storage } from '../../infra/storage.ts'
import { grantsOf } from './grants.ts'

interface State {
  Type: string
  Next?: string
  Retry?: unknown[]
  Catch?: { Next: string }[]
  States?: never
}
let template: Template
let states: Record<string, State>
let statements: { Action: string | string[]; Resource: unknown }[]

beforeAll(() => {
  const stack = new Stack(new App(), 'Test')
  House.set(stack, new House(Config.parse({})))
  const storage = new Storage(stack, 'Storage')
  const buildShard = new HouseFunction(stack, 'BuildShard', { door: 'x/y', description: 'shard', environment: {} })
  new Datanets(stack, 'Datanets', { storage, buildShard })
  template = Template.fromStack(stack)
  const machines = Object.values(template.findResources('AWS::StepFunctions::StateMachine')).map(({ Properties }) => {
    const parts: unknown[] = Properties.DefinitionString['Fn::Join'][1]
    return JSON.parse(parts.map((part) => (typeof part === 'string' ? part : 'arn')).join('')).States
  })
  states = machines.find((machine) => 'SplitChunks' in machine)
  statements = grantsOf(template)
})

describe('the ingestion flow', () => {
  it('splits by a Distributed Map over the list of chunks in the bucket', () => {
    expect(states['SplitChunks']).toMatchObject({
      Type: 'Map',
      ItemReader: { Resource: expect.any(String), ReaderConfig: { InputType: 'JSON' } },
      ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'EXPRESS' } },
      MaxConcurrency: 20,
      ResultPath: null,
    })
  })

  it('builds the provenance shard before the version is published', () => {
    expect(states['BuildProvenanceShards']?.Next).toBe('Commit')
  })

  it('retries every call, and records every fault', () => {
    for (const [name, state] of Object.entries(states)) {
      if (state.Type === 'Task') expect(state.Retry, name).toHaveLength(2)
      if ((state.Type === 'Task' && !/^Refuse|^Record/.test(name)) || state.Type === 'Map')
        expect(state.Catch, name).toMatchObject([{ ErrorEquals: ['States.ALL'], Next: 'RecordFault' }])
    }
    expect(states['RecordFault']?.Next).toBe('Failed')
    expect(states['Failed']?.Type).toBe('Fail')
  })

  it('starts for objects in quarantine alone, with a dead-letter queue and an alarm', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        source: ['aws.s3'],
        'detail-type': ['Object Created'],
        detail: { object: { key: [{ prefix: 'quarantine/' }] } },
      },
      Targets: [Match.objectLike({ DeadLetterConfig: Match.anyValue(), RetryPolicy: { MaximumRetryAttempts: 8 } })],
    })
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: { source: ['aws.states'], detail: { status: ['TIMED_OUT', 'ABORTED'] } },
      Targets: [Match.objectLike({ DeadLetterConfig: Match.anyValue() })],
    })
    template.resourceCountIs('AWS::CloudWatch::Alarm', 3)
  })

  it('keeps rows out of its logs', () => {
    template.hasResourceProperties('AWS::StepFunctions::StateMachine', {
      LoggingConfiguration: { IncludeExecutionData: false, Level: 'ALL' },
    })
  })
})

describe('grants', () => {
  const granted = (action: string) =>
    statements.filter(({ Action }) => [Action].flat().includes(action)).map(({ Resource }) => JSON.stringify(Resource))

  it('name their actions and their prefixes', () => {
    for (const { Action, Resource } of statements) {
      for (const action of [Action].flat()) expect(action).not.toContain('*')
      if ([Action].flat().some((action) => action.startsWith('s3:') && action.includes('Object')))
        for (const resource of [Resource].flat())
          expect(JSON.stringify(resource)).toMatch(/\/(quarantine|ingestion|datanets)\/\*/)
    }
  })

  it('let nobody write where a version lies but the committer, and nobody delete an object but the erasure', () => {
    expect(granted('s3:PutObject').filter((resource) => resource.includes('versions'))).toHaveLength(1)
    const deletable = granted('s3:DeleteObject').join()
    for (const keys of ['/parts/*', '/quarantine/*', '/ingestion/*']) expect(deletable).toContain(keys)
    expect(deletable).not.toContain('versions')
    expect(granted('s3:DeleteObject')).toHaveLength(1)
  })

  it('let a presigned URL write into the quarantine only', () => {
    const doors = statements.filter(({ Action }) => [Action].flat().includes('s3:ListMultipartUploadParts'))
    expect(doors).toHaveLength(3)
    for (const { Resource } of doors) expect(JSON.stringify(Resource)).toContain('/quarantine/*')
  })
})
