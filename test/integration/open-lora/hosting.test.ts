import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { SageMakerClient } from '@aws-sdk/client-sagemaker'
import type { CloudFormationCustomResourceEvent, Context } from 'aws-lambda'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { answerCloudFormation } from '../../../functions/open-lora/cloudformation.client.ts'
import { Hosting } from '../../../functions/open-lora/hosting.client.ts'
import { removeAll } from '../../../functions/open-lora/remove-all.ts'
import { type Emulator, startEmulator } from '../../../local/emulator/emulator.ts'
import { rememberedPorts } from '../../../local/processes/ports.ts'
import { eventually } from '../emulator/platform.ts'

/** The hosting client on the embedded SageMaker: a contract test of what it relies on. */
let emulator: Emulator
let dir: string
let sagemaker: SageMakerClient
const role = 'arn:aws:iam::000000000000:role/hosting'
const hosting = (prefix: string, more: { maxEndpoints?: number; accountQuota?: number } = {}) =>
  new Hosting({ prefix, instanceType: 'ml.m5.large', maxEndpoints: 9, accountQuota: 0, ...more }, sagemaker)
const container = (name: string) => ({
  name,
  image: '000000000000.dkr.ecr.us-east-1.amazonaws.com/openledger/echo:local',
  environment: {},
  roleArn: role,
})

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hosting-'))
  const { aws: port } = await rememberedPorts(join(dir, 'ports.json'))
  const imagesDir = join(import.meta.dirname, '../emulator/images')
  emulator = await startEmulator({
    port,
    stateDir: join(dir, 'aws'),
    logFile: join(dir, 'aws.log'),
    imagesDir,
    iam: false,
  })
  const client = {
    endpoint: emulator.endpoint,
    region: emulator.region,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  }
  sagemaker = new SageMakerClient(client)
})
afterAll(async () => {
  await emulator?.stop()
  await rm(dir, { recursive: true, force: true })
})

test('endpoints are made once, within the limits, and only one’s own are taken down', async () => {
  const mine = hosting('shop')
  const other = hosting('shop-2')
  expect(await mine.ensure(container('shop-base-r8-0'))).toBe(false)
  expect(await mine.ensure(container('shop-base-r8-0'))).toBe(false)
  await other.ensure(container('shop-2-base-r8-0'))
  await eventually(async () => ((await mine.ensure(container('shop-base-r8-0'))) ? true : undefined), 60_000)
  await eventually(async () => ((await other.ensure(container('shop-2-base-r8-0'))) ? true : undefined), 60_000)
  expect((await mine.list()).map(({ name, status }) => [name, status])).toEqual([['shop-base-r8-0', 'InService']])
  expect((await mine.list()).map(({ instances }) => instances)).toEqual([1])

  await expect(hosting('shop', { maxEndpoints: 1 }).ensure(container('shop-base-r16-0'))).rejects.toThrow(
    /maxEndpoints/,
  )
  // Others’ endpoints, whose names begin alike, do not count as one’s own.
  expect(await hosting('shop', { maxEndpoints: 2 }).ensure(container('shop-base-r32-0'))).toBe(false)
  await mine.remove('shop-base-r32-0')
  await eventually(async () => ((await mine.list()).length === 1 ? true : undefined))
  await expect(hosting('shop', { accountQuota: 2 }).ensure(container('shop-base-r16-0'))).rejects.toThrow(
    /accountQuota/,
  )
  const another = new Hosting(
    { prefix: 'shop', instanceType: 'ml.c5.large', maxEndpoints: 9, accountQuota: 1 },
    sagemaker,
  )
  expect(await another.ensure(container('shop-base-r64-0'))).toBe(false)
  await mine.remove('shop-base-r64-0')
  await eventually(async () => ((await mine.list()).length === 1 ? true : undefined))
  const spent = async () => {
    throw new Error('spent')
  }
  await expect(mine.ensure(container('shop-base-r16-0'), spent)).rejects.toThrow('spent')
  expect(await mine.list()).toHaveLength(1)

  await removeAll(
    mine,
    () => true,
    async () => {},
  )
  await mine.remove('shop-base-r8-0') // gone already
  await eventually(async () => ((await mine.list()).length === 0 ? true : undefined))
  expect((await other.list()).map(({ name }) => name)).toEqual(['shop-2-base-r8-0'])
  // Configuration and model went too: the same name can be made again.
  expect(await mine.ensure(container('shop-base-r8-0'))).toBe(false)
})

test('a flow that runs on while the stack goes brings no endpoint back', async () => {
  const bodies: { Status: string }[] = []
  const server = createServer((request, reply) => {
    request.on('data', (chunk) => bodies.push(JSON.parse(chunk)))
    request.on('end', () => reply.end())
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const REGISTRY_TABLE = 'Registry'
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: emulator.region,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    REGISTRY_TABLE,
    ENDPOINT_PREFIX: 'going',
    HOSTING_INSTANCE_TYPE: 'ml.m5.large',
    HOSTING_ROLE_ARN: role,
    INFLUENCE_ROLE_ARN: role,
    OPEN_LORA_IMAGE: container('x').image,
    INFLUENCE_IMAGE: container('x').image,
    INFERENCE_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:s',
    MODELS_URI: 's3://models',
    RECEIPTS_BUCKET: 'receipts',
    SCORING_KEY_ARN: 'arn:aws:kms:us-east-1:000000000000:key/k',
    HOSTING_ENGINE: 'torch',
    HOSTING_SHARDS: '1',
    HOSTING_MAX_MODEL_TOKENS: '0',
    MAX_ENDPOINTS: '9',
    HOSTING_ACCOUNT_QUOTA: '0',
    HOSTING_DAILY_HOURS: '0',
    INFLUENCE_MIN_INSTANCES: '1',
    INFLUENCE_MAX_INSTANCES: '1',
  })
  const key = (AttributeName: string) => ({ AttributeName, AttributeType: 'S' as const })
  await new DynamoDBClient({}).send(
    new CreateTableCommand({
      TableName: REGISTRY_TABLE,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [key('PK'), key('SK')],
      KeySchema: [
        { AttributeName: 'PK', KeyType: 'HASH' },
        { AttributeName: 'SK', KeyType: 'RANGE' },
      ],
    }),
  )
  const { handler: remove } = await import('../../../functions/open-lora/remove-endpoints.handler.ts')
  const { handler: ensure } = await import('../../../functions/open-lora/ensure-hosting.handler.ts')
  let looks = 0
  const context = { getRemainingTimeInMillis: () => (looks++ === 0 ? 60_000 : 0) } as Context
  const event = (RequestType: string) =>
    ({
      RequestType,
      ResponseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      LogicalResourceId: 'l',
    }) as unknown as CloudFormationCustomResourceEvent
  await remove(event('Create'), context)
  expect(await ensure({ baseId: 'tiny', rank: 8 })).toEqual({ ready: false })
  await eventually(async () => ((await hosting('going').list()).length === 2 ? true : undefined))
  await eventually(
    async () => ((await hosting('going').list()).every(({ status }) => status === 'InService') ? true : undefined),
    60_000,
  )
  await remove(event('Delete'), context)
  await eventually(async () => ((await hosting('going').list()).length === 0 ? true : undefined))
  await expect(ensure({ baseId: 'tiny', rank: 8 })).rejects.toThrow('being taken down')
  expect(await hosting('going').list()).toEqual([])
  expect(bodies.map(({ Status }) => Status)).toEqual(['SUCCESS', 'SUCCESS'])
  server.close()
})

test('CloudFormation is told how it went', async () => {
  const bodies: Record<string, string>[] = []
  const server = createServer((request, reply) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      bodies.push(JSON.parse(body))
      reply.end()
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const event = {
    RequestType: 'Delete',
    ResponseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/answer`,
    StackId: 's',
    RequestId: 'r',
    LogicalResourceId: 'l',
    PhysicalResourceId: 'p',
  } as unknown as Parameters<typeof answerCloudFormation>[0]
  await answerCloudFormation(event, undefined)
  await answerCloudFormation(event, 'endpoints still run: a')
  server.close()
  expect(bodies).toEqual([
    { Status: 'SUCCESS', PhysicalResourceId: 'p', StackId: 's', RequestId: 'r', LogicalResourceId: 'l' },
    expect.objectContaining({ Status: 'FAILED', Reason: 'endpoints still run: a' }),
  ])
})
