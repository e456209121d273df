import { App, Stack, Tags } from 'aws-cdk-lib'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { beforeAll, expect, test } from 'vitest'
import { AwsSolutions } from '../../infra/checks/aws-solutions.ts'
import { Budgets, MOST_RESOURCES } from '../../infra/checks/budgets.ts'
import { loadConfig } from '../../infra/config.ts'
import { OpenLedgerStack } from '../../infra/openledger-stack.ts'

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
const images = { fineTune: image, openLora: image, influence: image }
const appOf = (context: object): App => {
  const app = new App()
  new OpenLedgerStack(app, 'OpenLedger', { config: loadConfig({ images, ...context }, 'no-such-file') })
  app.synth()
  return app
}
type Plugin = AwsSolutions | Budgets
/** `rule path` of every violation. */
const found = (plugin: Plugin, appConstruct: App): string[] =>
  plugin
    .validate({ appConstruct } as unknown as Parameters<Plugin['validate']>[0])
    .violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName} ${constructPath}`),
    )

let whole: App
beforeAll(() => {
  whole = appOf({ chain, alarmEmail: 'night@example.test' })
})

test('AwsSolutions has no finding that is not acknowledged, and no acknowledgement is stale', () => {
  const solutions = new AwsSolutions()
  expect(found(solutions, whole)).toEqual([])
  expect(solutions.unused).toEqual([])
})

test('nor has it without a chain, with an issuer of one’s own, in dev', () => {
  const oidc = { issuer: 'https://id.example.test', audience: 'a', jwksUri: 'https://id.example.test/jwks' }
  expect(found(new AwsSolutions(), appOf({ stage: 'dev', oidc }))).toEqual([])
})

test('a bare topic, a queue without a dead-letter queue and a wildcard action are found', () => {
  const app = new App()
  const stack = new Stack(app, 'Careless')
  new Topic(stack, 'Topic')
  new Queue(stack, 'Queue', { encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true })
  const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') })
  role.addToPolicy(new PolicyStatement({ actions: ['s3:*'], resources: ['arn:aws:s3:::bucket/*'] }))
  app.synth()
  expect(found(new AwsSolutions(), app)).toEqual(
    expect.arrayContaining([
      'AwsSolutions-SNS3 Careless/Topic/Resource',
      'AwsSolutions-SQS3 Careless/Queue/Resource',
      'AwsSolutions-IAM5[Action::s3:*] Careless/Role/DefaultPolicy/Resource',
      'AwsSolutions-IAM5[Resource::arn:aws:s3:::bucket/*] Careless/Role/DefaultPolicy/Resource',
    ]),
  )
})

test('resources, bundles and tags are within what the house allows itself', () => {
  expect(found(new Budgets({ 'accounts/get-account': 849 * 1024 }), whole)).toEqual([])
})

test('too many resources, a fat bundle and a resource without the tag are found', () => {
  const app = new App()
  const stack = new Stack(app, 'Crowd')
  for (let n = 0; n < MOST_RESOURCES; n++) new Topic(stack, `T${n}`)
  Tags.of(stack).add('openledger:stage', 'dev', { excludeResourceTypes: [] })
  Tags.of(stack.node.findChild('T7')).remove('openledger:stage', { priority: 300 })
  app.synth()
  expect(
    found(new Budgets({ 'accounts/get-account': 851 * 1024, 'settlement/settle-epochs': 851 * 1024 }), app),
  ).toEqual(['resource-budget ', 'bundle-budget accounts/get-account', 'required-tags Crowd/T7/Resource'])
})
