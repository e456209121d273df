import { request } from 'node:http'
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  CreateTrainingJobCommand,
  DeleteEndpointCommand,
  DescribeEndpointCommand,
  DescribeTrainingJobCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker'
import {
  InvokeEndpointAsyncCommand,
  InvokeEndpointCommand,
  InvokeEndpointWithResponseStreamCommand,
  SageMakerRuntimeClient,
} from '@aws-sdk/client-sagemaker-runtime'
import {
  DescribeExecutionCommand,
  ListExecutionsCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientFor, eventually, startTestPlatform, type TestPlatform } from './platform.ts'

let platform: TestPlatform
let s3: S3Client
let sfn: SFNClient
let sagemaker: SageMakerClient
let runtime: SageMakerRuntimeClient

beforeAll(async () => {
  platform = await startTestPlatform()
  const client = clientFor(platform.emulator)
  s3 = new S3Client(client)
  sfn = new SFNClient(client)
  sagemaker = new SageMakerClient(client)
  runtime = new SageMakerRuntimeClient(client)
  await s3.send(new PutObjectCommand({ Bucket: output('Bucket'), Key: 'rows/a/1.jsonl', Body: '{"id":"row_1"}\n' }))
}, 180_000)
afterAll(() => platform?.close())

const output = (name: string) => platform.outputs[name] ?? ''
const post = (path: string, body: object, headers: Record<string, string> = {}) =>
  fetch(`${platform.api}/${path}`, { method: 'POST', body: JSON.stringify(body), headers })

async function execute(machine: string, input: object) {
  const { executionArn } = await sfn.send(
    new StartExecutionCommand({ stateMachineArn: output(machine), input: JSON.stringify(input) }),
  )
  return { executionArn, done: () => eventually(() => ended(executionArn ?? ''), 30_000) }
}
async function ended(executionArn: string) {
  const found = await sfn.send(new DescribeExecutionCommand({ executionArn }))
  return found.status === 'RUNNING' ? undefined : found
}
const trainingInput = (job: string, mode: string, seconds = 60) => ({
  job,
  hyperparameters: { mode },
  rows: `s3://${output('Bucket')}/rows/`,
  seconds,
})
async function read(key: string): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: output('Bucket'), Key: key }))
  return (await Body?.transformToString()) ?? ''
}

describe('IAM', () => {
  test('a granted write passes, an ungranted one is refused', async () => {
    const granted = await post('records', { id: 'one' })
    expect(granted.status).toBe(201)
    const refused = await post('ungranted', { id: 'two' })
    expect(await refused.json()).toEqual({ name: 'AccessDeniedException' })
  })

  test('a state machine without sagemaker and iam:PassRole grants cannot start a job', async () => {
    const run = await execute('Passless', trainingInput('passless-1', 'copy'))
    const { status, cause } = await run.done()
    expect(status).toBe('FAILED')
    expect(cause).toContain('sagemaker:CreateTrainingJob')
  })

  test('a state machine without lambda:InvokeFunction would fail; with it, errors are caught by their name', async () => {
    const { status, output: result } = await (await execute('Names', {})).done()
    expect({ status, result }).toEqual({ status: 'SUCCEEDED', result: '"by name"' })
  })
})

test('an upload event reaches the state machine', async () => {
  const key = 'quarantine/dn/ctr'
  await s3.send(new PutObjectCommand({ Bucket: output('Bucket'), Key: key, Body: 'x' }))
  const execution = await eventually(async () => {
    const list = await sfn.send(new ListExecutionsCommand({ stateMachineArn: output('Uploads') }))
    return list.executions?.find((one) => one.status === 'SUCCEEDED')
  })
  const { input } = await sfn.send(new DescribeExecutionCommand({ executionArn: execution.executionArn }))
  expect(JSON.parse(input ?? '{}').detail.object.key).toBe(key)
})

describe('response streaming', () => {
  test('chunks arrive as they are written, with the status and headers of the prelude', async () => {
    const arrivals = await streamed({ count: 4, pauseMs: 250 })
    expect(arrivals.status).toBe(202)
    expect(arrivals.headers['content-type']).toBe('text/event-stream')
    expect(arrivals.headers['x-saw-stream-id']).toBe('false')
    expect(arrivals.text).toBe('data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n')
    const first = arrivals.at[0] ?? 0
    const last = arrivals.at.at(-1) ?? 0
    expect(last - first).toBeGreaterThan(500)
  })

  test('a function that dies in the middle cuts the connection', async () => {
    await expect(streamed({ count: 4, pauseMs: 50, dieAfter: 2 })).rejects.toThrow(/aborted|hang up|reset/i)
  })

  test('a caller cannot bring a stream id of its own', async () => {
    const answer = await post('records', { id: 'three' }, { 'x-openledger-stream': 'mine' })
    expect((await answer.json()).headers).not.toContain('mine')
  })
})

function streamed(body: object) {
  type Arrivals = { status: number; headers: Record<string, unknown>; text: string; at: number[] }
  return new Promise<Arrivals>((resolve, reject) => {
    const call = request(`${platform.api}/stream`, { method: 'POST' }, (response) => {
      const at: number[] = []
      let text = ''
      response.on('data', (chunk: Buffer) => {
        at.push(Date.now())
        text += chunk.toString()
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text, at }))
      response.on('error', reject)
    })
    call.on('error', reject)
    call.end(JSON.stringify(body))
  })
}

describe('training jobs', () => {
  test('run the image with its channels, and leave model and log', async () => {
    const { status, output: result } = await (await execute('Training', trainingInput('copy-1', 'copy'))).done()
    expect(status).toBe('SUCCEEDED')
    const job = JSON.parse(result ?? '{}')
    expect(job).toMatchObject({ TrainingJobStatus: 'Completed', SecondaryStatus: 'Completed' })
    expect(job.ModelArtifacts.S3ModelArtifacts).toBe(`s3://${output('Bucket')}/out/copy-1/output/model/`)
    expect(Number.isInteger(job.CreationTime)).toBe(true)
    expect(await read('out/copy-1/output/model/1.jsonl')).toBe('{"id":"row_1"}\n')
    expect(JSON.parse(await read('out/copy-1/output/model/seen.json'))).toEqual({ isolated: true, greeting: 'hello' })
    const logs = new CloudWatchLogsClient(clientFor(platform.emulator))
    const { events } = await logs.send(
      new FilterLogEventsCommand({
        logGroupName: '/aws/sagemaker/TrainingJobs',
        logStreamNamePrefix: 'copy-1/algo-1-',
      }),
    )
    expect(events?.map((event) => event.message)).toContain('METRIC rows=1')
  })

  test('a failure carries output/failure and the exit code', async () => {
    const { status, error, cause } = await (await execute('Training', trainingInput('fail-1', 'fail'))).done()
    expect({ status, error }).toEqual({ status: 'FAILED', error: 'States.TaskFailed' })
    expect(JSON.parse(cause ?? '{}').FailureReason).toBe('AlgorithmError: rows are not rows, exit code: 3')
  })

  test('MaxRuntimeInSeconds stops a job and keeps what it made', async () => {
    const { status } = await (await execute('Training', trainingInput('long-1', 'wait', 2))).done()
    expect(status).toBe('FAILED')
    const job = await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: 'long-1' }))
    expect(job).toMatchObject({ TrainingJobStatus: 'Stopped', SecondaryStatus: 'MaxRuntimeExceeded' })
    expect(await read('out/long-1/output/model/partial.json')).toBe('{}')
  })

  test('StopExecution stops the job of a .sync task', async () => {
    const run = await execute('Training', trainingInput('stopped-1', 'wait'))
    const status = () => sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: 'stopped-1' }))
    const reached = (wanted: string) => async () =>
      (await status().catch(() => undefined))?.SecondaryStatus === wanted ? true : undefined
    await eventually(reached('Training'))
    await sfn.send(new StopExecutionCommand({ executionArn: run.executionArn ?? '' }))
    await eventually(reached('Stopped'))
  })

  test('missing rows, a name in use and a broken request are named', async () => {
    const nothing = { ...trainingInput('none-1', 'copy'), rows: `s3://${output('Bucket')}/nowhere/` }
    const { cause } = await (await execute('Training', nothing)).done()
    expect(JSON.parse(cause ?? '{}').FailureReason).toContain('ClientError: No S3 objects found under S3 URL')
    const again = await (await execute('Training', trainingInput('copy-1', 'copy'))).done()
    expect(again.error).toBe('SageMaker.ResourceInUseException')
    const broken = new CreateTrainingJobCommand({
      TrainingJobName: 'no spaces allowed',
      RoleArn: output('JobRole'),
      AlgorithmSpecification: { TrainingImage: 'x/echo:1', TrainingInputMode: 'File' },
      OutputDataConfig: { S3OutputPath: 's3://b/p' },
      ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 5 },
      StoppingCondition: { MaxRuntimeInSeconds: 60 },
    })
    await expect(sagemaker.send(broken)).rejects.toMatchObject({ name: 'ValidationException' })
  })
})

describe('endpoints', () => {
  const EndpointName = 'Echo-1'
  const status = async () => {
    const found = await sagemaker.send(new DescribeEndpointCommand({ EndpointName })).catch(() => undefined)
    return found?.EndpointStatus
  }
  const inService = () => eventually(async () => ((await status()) === 'InService' ? true : undefined))
  const invoke = async (body: object, CustomAttributes?: string) => {
    const command = new InvokeEndpointCommand({
      EndpointName,
      Body: JSON.stringify(body),
      ContentType: 'application/json',
      ...(CustomAttributes ? { CustomAttributes } : {}),
    })
    const { Body } = await runtime.send(command)
    return JSON.parse(Body?.transformToString() ?? '{}')
  }

  beforeAll(async () => {
    const container = { Image: 'x/echo:1' }
    const role = output('JobRole')
    await sagemaker.send(
      new CreateModelCommand({ ModelName: 'echo', ExecutionRoleArn: role, PrimaryContainer: container }),
    )
    const variant = {
      VariantName: 'A',
      ModelName: 'echo',
      InstanceType: 'ml.m5.large' as const,
      InitialInstanceCount: 1,
    }
    await sagemaker.send(new CreateEndpointConfigCommand({ EndpointConfigName: 'echo', ProductionVariants: [variant] }))
    await sagemaker.send(new CreateEndpointCommand({ EndpointName, EndpointConfigName: 'echo' }))
    expect(await status()).toBe('Creating')
    await inService()
  })

  test('answer, with the custom attributes passed on', async () => {
    const answer = await invoke({ question: 1 }, 'v1;2;3')
    expect(answer).toMatchObject({ echo: { question: 1 }, attributes: 'v1;2;3' })
  })

  test('may take their time: a buffered answer has 60 s', async () => {
    expect(await invoke({ sleep: 6 })).toMatchObject({ echo: { sleep: 6 } })
  })

  test('stream part by part', async () => {
    const command = new InvokeEndpointWithResponseStreamCommand({ EndpointName, Body: '{"stream":4}' })
    const { Body, ContentType } = await runtime.send(command)
    const at: number[] = []
    let text = ''
    for await (const event of Body ?? []) {
      at.push(Date.now())
      text += new TextDecoder().decode(event.PayloadPart?.Bytes)
    }
    expect(ContentType).toBe('text/event-stream')
    expect(text).toBe('data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n')
    expect((at.at(-1) ?? 0) - (at[0] ?? 0)).toBeGreaterThan(300)
  })

  test('refuse what SageMaker refuses', async () => {
    await expect(invoke({ status: 429 })).rejects.toMatchObject({ name: 'ModelError', OriginalStatusCode: 429 })
    await expect(invoke({ big: 'x'.repeat(6_291_456) })).rejects.toMatchObject({ name: 'ValidationError' })
    await expect(invoke({}, 'x'.repeat(1025))).rejects.toMatchObject({ name: 'ValidationError' })
    const unknown = new InvokeEndpointCommand({ EndpointName: 'nobody', Body: '{}' })
    await expect(runtime.send(unknown)).rejects.toMatchObject({ name: 'ValidationError' })
  })

  describe('asynchronously', () => {
    const place = () => `s3://${output('Bucket')}/out/async`
    const Later = 'Later-1'
    const ask = async (key: string, body: object, EndpointName = Later) => {
      await s3.send(new PutObjectCommand({ Bucket: output('Bucket'), Key: `asks/${key}`, Body: JSON.stringify(body) }))
      return runtime.send(
        new InvokeEndpointAsyncCommand({
          EndpointName,
          InputLocation: `s3://${output('Bucket')}/asks/${key}`,
          ContentType: 'application/json',
          InferenceId: key,
        }),
      )
    }
    const at = (location?: string) => read((location ?? '').slice(`s3://${output('Bucket')}/`.length))
    const come = (location?: string) => eventually(() => at(location).catch(() => undefined), 30_000)

    test('taken while nothing is up; answered, or refused, by an object in S3', async () => {
      const variant = {
        VariantName: 'A',
        ModelName: 'echo',
        InstanceType: 'ml.m5.large' as const,
        InitialInstanceCount: 1,
      }
      await sagemaker.send(
        new CreateEndpointConfigCommand({
          EndpointConfigName: 'later',
          ProductionVariants: [variant],
          AsyncInferenceConfig: {
            OutputConfig: { S3OutputPath: `${place()}/good/`, S3FailurePath: `${place()}/bad/` },
            ClientConfig: { MaxConcurrentInvocationsPerInstance: 1 },
          },
        }),
      )
      await sagemaker.send(new CreateEndpointCommand({ EndpointName: Later, EndpointConfigName: 'later' }))
      const [good, bad] = [await ask('ask-1', { question: 7 }), await ask('ask-2', { status: 500 })]
      expect(good.InferenceId).toBe('ask-1')
      expect(good.OutputLocation).toMatch(new RegExp(`^${place()}/good/[0-9a-f-]+\\.out$`))
      expect(JSON.parse(await come(good.OutputLocation))).toMatchObject({ echo: { question: 7 } })
      expect(await come(bad.FailureLocation)).toContain('Received server error (500)')
      await expect(at(bad.OutputLocation)).rejects.toMatchObject({ name: 'NoSuchKey' })
      await expect(ask('ask-3', {}, EndpointName)).rejects.toMatchObject({ name: 'ValidationError' })
      const atOnce = new InvokeEndpointCommand({ EndpointName: Later, Body: '{}' })
      await expect(runtime.send(atOnce)).rejects.toThrow('can only receive asynchronous invocations')
    })

    test('what was accepted before a kill -9 is answered after it: the one that ran, and the one that waited', async () => {
      const [running, waiting] = [await ask('ask-4', { sleep: 2 }), await ask('ask-5', { question: 8 })]
      await platform.emulator.save()
      await platform.killAndRestart()
      await expect(at(running.OutputLocation)).rejects.toMatchObject({ name: 'NoSuchKey' })
      expect(JSON.parse(await come(running.OutputLocation))).toMatchObject({ echo: { sleep: 2 } })
      expect(JSON.parse(await come(waiting.OutputLocation))).toMatchObject({ echo: { question: 8 } })
      await sagemaker.send(new DeleteEndpointCommand({ EndpointName: Later }))
      await inService()
    })
  })

  test('a container that dies is started again', async () => {
    const before = await invoke({})
    await invoke({ exit: true }).catch(() => {})
    const after = await eventually(() => invoke({}).catch(() => undefined))
    expect(after.pid).not.toBe(before.pid)
  })

  test('a restart of the emulator brings back buckets, tables, machines, API and endpoint', async () => {
    await platform.restart()
    expect((await post('records', { id: 'four' })).status).toBe(201)
    expect((await (await post('ungranted', { id: 'five' })).json()).name).toBe('AccessDeniedException')
    const { KeyCount } = await s3.send(new ListObjectsV2Command({ Bucket: output('Bucket'), Prefix: 'rows/' }))
    expect(KeyCount).toBe(1)
    await inService()
    expect(await invoke({ again: true })).toMatchObject({ echo: { again: true } })
  })

  test('a training flow goes on after a restart in its middle, and ends once', async () => {
    const run = await execute('Training', trainingInput('slow-1', 'slow'))
    const TrainingJobName = 'slow-1'
    await eventually(async () => {
      const job = await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName })).catch(() => undefined)
      return job?.SecondaryStatus === 'Training' ? true : undefined
    })
    await platform.restart()
    const { status, cause, output: result } = await run.done()
    expect({ status, cause }).toMatchObject({ status: 'SUCCEEDED' })
    expect(JSON.parse(result ?? '{}')).toMatchObject({ TrainingJobName, TrainingJobStatus: 'Completed' })
    await inService()
  })

  test('delete ends the process', async () => {
    const { pid } = await invoke({})
    await sagemaker.send(new DeleteEndpointCommand({ EndpointName }))
    await eventually(async () => ((await status()) === undefined ? true : undefined))
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})
