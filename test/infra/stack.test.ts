import { readFileSync } from 'node:fs'
import { App } from 'aws-cdk-lib'
import { Match, Template } from 'aws-cdk-lib/assertions'
import { describe, expect, test } from 'vitest'
import { influenceName } from '../../functions/open-lora/pools.ts'
import { loadConfig } from '../../infra/config.ts'
import { OpenLedgerStack } from '../../infra/openledger-stack.ts'
import { grantsOf } from './grants.ts'

const address = `0x${'1'.repeat(40)}`
const image = '000000000000.dkr.ecr.us-east-1.amazonaws.com/image:tag'
const chain = {
  rpcUrl: 'http://rpc.example.test',
  chainId: 1,
  token: address,
  escrow: address,
  settlement: address,
  settlerAddress: address,
  watcherAddress: address,
  settlementCodeHash: `0x${'2'.repeat(64)}`,
  escrowCodeHash: `0x${'3'.repeat(64)}`,
}
const templateOf = (context: object) => {
  const config = loadConfig(
    { images: { fineTune: image, openLora: image, influence: image }, ...context },
    'no-such-file',
  )
  return Template.fromStack(new OpenLedgerStack(new App(), 'OpenLedger', { config }))
}
const prod = templateOf({ chain, alarmEmail: 'night@example.test', hosting: { engine: 'vllm' } })
type Resource = { Type: string; Properties: Record<string, unknown>; DeletionPolicy?: string }
const resources = (template: Template) => Object.entries(template.toJSON().Resources as Record<string, Resource>)

/** A changed logical id would replace the resource, and what is in it. */
const LASTING = [
  'AccountsPeople5C21ECCA',
  'SettlementReceiptsKey89BD0C10',
  'SettlementSettlerKey103F1199',
  'SettlementWatcherKeyA775D32B',
  'StorageData6BB23F4E',
  'StorageLedger5E7CB2E3',
  'StorageModels44005BB0',
  'StorageReceiptsD0CE505B',
  'StorageRegistry5365D477',
  'StorageTranscriptsKeyE338E0B2',
]
const isLasting = (type: string) => /(GlobalTable|S3::Bucket|KMS::Key|Cognito::UserPool)$/.test(type)

describe('the stack', () => {
  test('what lasts keeps its logical id, and stays in prod when the stack goes', () => {
    const lasting = resources(prod).filter(([, { Type }]) => isLasting(Type))
    expect(lasting.map(([id]) => id).sort()).toEqual(LASTING)
    for (const [, resource] of lasting) expect(resource.DeletionPolicy).toBe('Retain')
  })

  test('endpoints are told the engine of the configuration', () => {
    prod.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: Match.objectLike({ HOSTING_ENGINE: 'vllm', OPEN_LORA_IMAGE: image }) },
    })
  })

  test('in dev it goes with the stack', () => {
    const lasting = resources(templateOf({ stage: 'dev' })).filter(([, { Type }]) => isLasting(Type))
    for (const [, resource] of lasting) expect(resource.DeletionPolicy).toBe('Delete')
  })

  test('tables can be brought back to any second and are not deleted by accident', () => {
    const replica = Match.objectLike({
      DeletionProtectionEnabled: true,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    })
    prod.allResourcesProperties('AWS::DynamoDB::GlobalTable', { Replicas: [replica] })
  })

  test('buckets keep versions, are closed to the public and refuse plain HTTP', () => {
    prod.allResourcesProperties('AWS::S3::Bucket', {
      VersioningConfiguration: { Status: 'Enabled' },
      PublicAccessBlockConfiguration: Match.objectLike({ BlockPublicPolicy: true }),
    })
    prod.allResourcesProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        ]),
      },
    })
  })

  test('no role may do everything, and "*" as a resource stands only where AWS knows no other', () => {
    const open = new Set<string>()
    const statements = grantsOf(prod)
    expect(statements.length).toBeGreaterThan(150)
    for (const statement of statements) {
      const actions = [statement.Action].flat()
      expect(actions.filter((action) => action.endsWith('*'))).toEqual([])
      if (statement.Resource === '*') for (const action of actions) open.add(action.split(':')[0]!)
    }
    // Metrics, image login, endpoint listing, log delivery and traces take no resource.
    expect([...open].sort()).toEqual(['cloudwatch', 'ecr', 'logs', 'sagemaker', 'xray'])
  })

  test('IAM takes the descriptions of all roles', () => {
    // Pattern of RoleDescription in the IAM API reference, CreateRole.
    const roles = resources(prod).filter(([, { Type }]) => Type === 'AWS::IAM::Role')
    for (const [, { Properties }] of roles) expect(Properties['Description'] ?? '').toMatch(/^[\t\n\r -~¡-ÿ]*$/)
  })

  test('every queue is a dead-letter queue or has one, and every alarm reaches somebody', () => {
    const queues = resources(prod).filter(([, { Type }]) => Type === 'AWS::SQS::Queue')
    for (const [id, { Properties }] of queues)
      expect(/DeadLetter|Failures/.test(id) || 'RedrivePolicy' in Properties, id).toBe(true)
    prod.allResourcesProperties('AWS::CloudWatch::Alarm', {
      AlarmActions: Match.anyValue(),
      AlarmDescription: Match.stringLikeRegexp('runbook\\.md#'),
    })
  })

  test('every alarm points to a page of the runbook that is there', () => {
    const text = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8')
    const pages = new Set(
      [...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title!.toLowerCase().replaceAll(' ', '-')),
    )
    const alarms = resources(prod).filter(([, { Type }]) => Type === 'AWS::CloudWatch::Alarm')
    expect(alarms.length).toBeGreaterThan(8)
    for (const [id, { Properties }] of alarms) {
      const page = /runbook\.md#([a-z-]+)$/.exec(Properties['AlarmDescription'] as string)?.[1]
      expect(pages.has(page!), `${id}: ${page}`).toBe(true)
    }
  })

  test('a training whose endpoints may not run now is charged for its adapter, any other failure gives the money back', () => {
    const definitions = resources(prod)
      .filter(([, { Type }]) => Type === 'AWS::StepFunctions::StateMachine')
      .map(
        ([, { Properties }]) => (Properties['DefinitionString'] as { 'Fn::Join': [string, unknown[]] })['Fn::Join'][1],
      )
    const [flow] = definitions
      .map((parts) => JSON.parse(parts.map((part) => (typeof part === 'string' ? part : 'x')).join('')))
      .filter(({ States }) => 'Train' in States)
    const caught = (state: string) =>
      flow.States[state].Catch.map(({ Next, ResultPath }: Record<string, string>) => [Next, ResultPath])
    expect(caught('EnsureHosting')).toEqual([['Complete', '$.hosting']])
    for (const state of ['Prepare', 'Train', 'Register', 'Complete'])
      expect(caught(state), state).toEqual([['Fail', '$.error']])
  })

  test('every rule, schedule and stream has a dead-letter queue, and every dead-letter queue an alarm', () => {
    const byId = new Map(resources(prod))
    const queueOf = (arn: unknown) => (arn as { 'Fn::GetAtt'?: [string] } | undefined)?.['Fn::GetAtt']?.[0] ?? 'none'
    type Edge = {
      Targets?: { DeadLetterConfig?: { Arn: unknown } }[]
      Target?: { DeadLetterConfig?: { Arn: unknown } }
      DestinationConfig?: { OnFailure: { Destination: unknown } }
      EventSourceArn?: unknown
      RedrivePolicy?: { deadLetterTargetArn: unknown }
    }
    const letters = [...byId.values()].flatMap(({ Type, Properties }) => {
      const edge = Properties as Edge
      if (Type === 'AWS::Events::Rule') return edge.Targets!.map((target) => queueOf(target.DeadLetterConfig?.Arn))
      if (Type === 'AWS::Scheduler::Schedule') return [queueOf(edge.Target?.DeadLetterConfig?.Arn)]
      if (Type === 'AWS::SQS::Queue' && edge.RedrivePolicy) return [queueOf(edge.RedrivePolicy.deadLetterTargetArn)]
      const ofStream =
        Type === 'AWS::Lambda::EventSourceMapping' && JSON.stringify(edge.EventSourceArn).includes('Stream')
      return ofStream ? [queueOf(edge.DestinationConfig?.OnFailure.Destination)] : []
    })
    expect(letters.length).toBeGreaterThan(9)
    const alarms = JSON.stringify([...byId.values()].filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm'))
    for (const queue of letters) {
      expect(byId.get(queue)?.Type, queue).toBe('AWS::SQS::Queue')
      expect(alarms, queue).toContain(`"${queue}"`)
    }
  })

  test('of the receipts bucket influence containers read what they are asked and write answers, serving nothing', () => {
    const grantsOf = (role: string) =>
      resources(prod)
        .filter(([id, { Type }]) => Type === 'AWS::IAM::Policy' && id.startsWith(`OpenLora${role}`))
        .flatMap(([, { Properties }]) => (Properties['PolicyDocument'] as { Statement: Grant[] }).Statement)
        .filter(({ Resource }) => JSON.stringify(Resource).includes('StorageReceipts'))
        .map(({ Action, Resource }) => [
          Action,
          [...JSON.stringify(Resource).matchAll(/"\/([^"]+)"/g)].map(([, at]) => at),
        ])
    type Grant = { Action: string | string[]; Resource: unknown }
    expect(grantsOf('HostingRole')).toEqual([])
    expect(grantsOf('InfluenceRole')).toEqual([
      ['s3:GetObject', ['scoring/asked/*']],
      ['s3:PutObject', ['scoring/answers/*', 'scoring/failures/*']],
    ])
  })

  test('of the models bucket serving and influence containers read bases and adapters alone, and write nothing', () => {
    type Grant = { Action: string | string[]; Resource: unknown; Condition?: unknown }
    const policies = (role: string) =>
      resources(prod)
        .filter(([id, { Type }]) => Type === 'AWS::IAM::Policy' && id.startsWith(`OpenLora${role}`))
        .flatMap(([, { Properties }]) => (Properties['PolicyDocument'] as { Statement: Grant[] }).Statement)
    const prefixes = ['bases/*', 'adapters/*']
    for (const role of ['HostingRole', 'InfluenceRole']) {
      const s3 = policies(role).filter(({ Action }) => JSON.stringify(Action).includes('s3:'))
      const models = s3.filter(({ Resource }) => JSON.stringify(Resource).includes('StorageModels'))
      expect(
        models.map(({ Action, Resource, Condition }) => [
          Action,
          [...JSON.stringify(Resource).matchAll(/"\/([^"]+)"/g)].map(([, at]) => at),
          Condition,
        ]),
        role,
      ).toEqual([
        ['s3:GetObject', prefixes, undefined],
        ['s3:ListBucket', [], { StringLike: { 's3:prefix': prefixes } }],
      ])
      // No other bucket, but the receipts' for influence (the test before this one).
      const others = s3.filter((grant) => !models.includes(grant))
      expect(others.every(({ Resource }) => JSON.stringify(Resource).includes('StorageReceipts'))).toBe(true)
      expect(others).toHaveLength(role === 'HostingRole' ? 0 : 2)
      const [made] = resources(prod).filter(
        ([id, { Type }]) => Type === 'AWS::IAM::Role' && id.startsWith(`OpenLora${role}`),
      )
      expect(made![1].Properties).not.toHaveProperty('Policies')
      expect(made![1].Properties).not.toHaveProperty('ManagedPolicyArns')
    }
  })

  test('whoever takes an endpoint down may take down its scaling too, and others’ endpoints are looked at for a quota only', () => {
    const alarms = (template: Template) =>
      resources(template)
        .filter(
          ([, { Type, Properties }]) =>
            Type === 'AWS::IAM::Role' &&
            JSON.stringify(Properties).includes('application-autoscaling:DeregisterScalableTarget'),
        )
        .map(([id]) => id.replace(/Role[0-9A-F]{8}$/, ''))
    expect(alarms(prod).sort()).toEqual(['OpenLoraRemoveEndpoints', 'OpenLoraSweepHosting'])
    const everybodys = (template: Template) =>
      grantsOf(template).filter(({ Action }) => [Action].flat().includes('sagemaker:DescribeEndpointConfig'))
    expect(everybodys(prod)).toEqual([])
    expect(everybodys(templateOf({ hosting: { accountQuota: 4 } }))).toHaveLength(1)
  })

  test('what an influence endpoint leaves, answers and failures, reaches one queue with its worker and an alarm', () => {
    prod.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: Match.objectLike({
        detail: Match.objectLike({
          object: { key: [{ prefix: 'scoring/answers/' }, { prefix: 'scoring/failures/' }] },
        }),
      }),
      Targets: [Match.objectLike({ Arn: Match.anyValue(), DeadLetterConfig: Match.anyValue() })],
    })
    prod.hasResourceProperties('AWS::Logs::MetricFilter', { FilterPattern: '{ $.message = "scoring failed" }' })
    prod.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmDescription: Match.stringLikeRegexp('runbook\\.md#scoring-failed'),
    })
    expect(() => templateOf({ hosting: { influence: { minInstances: 2 } } })).toThrow('minInstances')
  })

  test('scoring is asked of influence endpoints only, by the one worker that asks', () => {
    const roles = resources(prod).filter(
      ([, { Type, Properties }]) =>
        Type === 'AWS::IAM::Role' && JSON.stringify(Properties).includes('sagemaker:InvokeEndpointAsync'),
    )
    expect(roles.map(([id]) => id.replace(/Role[0-9A-F]{8}$/, ''))).toEqual(['AttributionAttribute'])
    const asks = grantsOf(prod).filter(({ Action }) => [Action].flat().includes('sagemaker:InvokeEndpointAsync'))
    expect(asks.map(({ Resource }) => JSON.stringify(Resource))).toEqual([
      expect.stringContaining(':endpoint/openledger-*-influence"'),
    ])
    // Names of pools.ts, so that a new scheme of names does not leave the grants behind.
    const names = ['tiny', 'a.b', 'x'.repeat(63)].map((base) => influenceName('openledger', base))
    for (const name of names) expect(name).toMatch(/^openledger-.*-influence$/)
  })

  test('scaling of the influence endpoint is granted where it is configured', () => {
    const scaling = (template: Template) =>
      grantsOf(template)
        .filter(({ Action }) => /application-autoscaling|PutMetricAlarm/.test(JSON.stringify(Action)))
        .map(({ Resource }) => [Resource].flat().map((one) => JSON.stringify(one).replace(/.*:(?=\w+[:/-])/, '')))
    expect(JSON.stringify(scaling(prod))).toContain('openledger-*-influence-wake')
    expect(scaling(templateOf({ hosting: { influence: { minInstances: 1, maxInstances: 1 } } }))).toEqual([])
  })

  test('stays below the budget of resources, with a chain and without', () => {
    expect(resources(prod).length).toBeLessThan(400)
    expect(resources(templateOf({})).length).toBeLessThan(400)
    // As the local platform deploys it.
    expect(resources(templateOf({ stage: 'dev', chain, training: { spot: false } })).length).toBeLessThan(400)
  })

  test('an unknown knob stops the synth and is named', () => {
    expect(() => templateOf({ alarmMail: 'typo@example.test' })).toThrow('alarmMail')
  })
})
