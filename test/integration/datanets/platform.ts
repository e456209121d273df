import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { DescribeExecutionCommand, ListExecutionsCommand, SFNClient } from '@aws-sdk/client-sfn'
import type { APIGatewayProxyEvent, APIGatewayProxyResult, Context } from 'aws-lambda'
import { bootstrap, deploy, type StackOutputs } from '../../../local/deploy.ts'
import { type Emulator, startEmulator } from '../../../local/emulator/emulator.ts'
import { rememberedPorts } from '../../../local/processes/ports.ts'

export interface Platform {
  emulator: Emulator
  outputs: StackOutputs
  s3: S3Client
  sfn: SFNClient
  close(): Promise<void>
}

/** The embedded AWS with the Datanets deployed, IAM on; this process's handlers talk to it too. */
export const startPlatform = async (): Promise<Platform> => {
  const dir = await mkdtemp(join(tmpdir(), 'openledger-datanets-'))
  const ports = await rememberedPorts(join(dir, 'ports.json'))
  const emulator = await startEmulator({ port: ports.aws, stateDir: join(dir, 'aws'), logFile: join(dir, 'aws.log') })
  const app = `node ${join(import.meta.dirname, 'app.ts')}`
  const options = { emulator, outDir: join(dir, 'cdk'), app }
  await bootstrap(options)
  const outputs = await deploy(options)
  await emulator.enforceIam(true)
  Object.assign(process.env, emulator.env, {
    REGISTRY_TABLE: outputs['Registry'],
    DATA_BUCKET: outputs['Data'],
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  })
  return {
    emulator,
    outputs,
    s3: new S3Client({}),
    sfn: new SFNClient({}),
    close: async () => {
      await emulator.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

type Door = (event: APIGatewayProxyEvent, context: Context) => Promise<APIGatewayProxyResult>
export interface Person {
  accountId: string
}
export const person = (): Person => ({ accountId: `acc_${randomBytes(12).toString('hex')}` })

/** Calls a door in this process as the gateway would, for a caller whom the authorizer has proved. */
export const call = async (
  door: string,
  { accountId }: Person,
  request: { params?: object; query?: object; body?: unknown; headers?: Record<string, string> } = {},
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked into field by field
): Promise<{ status: number; body: any }> => {
  const { handler } = (await import(`../../../functions/datanets/${door}.handler.ts`)) as { handler: Door }
  const event = {
    path: `/${door}`,
    headers: request.headers ?? {},
    pathParameters: request.params ?? {},
    queryStringParameters: request.query ?? {},
    body: request.body === undefined ? null : JSON.stringify(request.body),
    isBase64Encoded: false,
    requestContext: {
      authorizer: { caller: JSON.stringify({ kind: 'person', accountId, operator: false, name: 'Somebody' }) },
    },
  } as unknown as APIGatewayProxyEvent
  const reply = await handler(event, {} as Context)
  return { status: reply.statusCode, body: JSON.parse(reply.body) }
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export const put = async (
  plan: { url: string; headers: Record<string, string> },
  bytes: Uint8Array,
): Promise<Response> => fetch(plan.url, { method: 'PUT', headers: plan.headers, body: bytes as unknown as BodyInit })

export const readText = async ({ s3, outputs }: Platform, key: string): Promise<string> => {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: outputs['Data'], Key: key }))
  return (await Body?.transformToString()) ?? ''
}

/** Asks until `probe` answers with something. */
export const eventually = async <T>(probe: () => Promise<T | undefined>, ms = 60_000): Promise<T> => {
  const deadline = Date.now() + ms
  for (;;) {
    const found = await probe()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`nothing after ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
}

/** What became of the executions of the flow, newest first. */
export const executions = async ({ sfn, outputs }: Platform) => {
  const { executions: listed = [] } = await sfn.send(new ListExecutionsCommand({ stateMachineArn: outputs['Flow'] }))
  return Promise.all(listed.map(({ executionArn }) => sfn.send(new DescribeExecutionCommand({ executionArn }))))
}
