import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { GetObjectCommand, ListBucketsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import {
  GetQueueAttributesCommand,
  ListQueuesCommand,
  type QueueAttributeName,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { expect, test } from 'vitest'
import { ApiClient, until } from '../../local/example/api-client.ts'
import { clientOf, loop } from './loop.ts'

/** The processes of a function, by the environment that they were started with. */
const processesOf = (functionName: string): number[] =>
  execFileSync('ps', ['axeww', '-o', 'pid=,args='], { encoding: 'utf8', maxBuffer: 1 << 26 })
    .split('\n')
    .filter((line) => new RegExp(` AWS_LAMBDA_FUNCTION_NAME=\\S*${functionName}`).test(line))
    .map((line) => Number.parseInt(line, 10))

const signal = (functionName: string, name: NodeJS.Signals): number => {
  const pids = processesOf(functionName)
  for (const pid of pids) process.kill(pid, name)
  return pids.length
}

/** Between debit and attribution stand two functions: the one that reads the ledger's stream, and the queue's worker. */
export const dyingWorkers = (): void =>
  test('functions that die between debit and attribution lose nothing: the receipt completes, once', async () => {
    const api = new ApiClient(loop.run.api.baseUrl, loop.run.keys.client)
    const settings = { ...loop.context.aws, forcePathStyle: true }
    const sqs = new SQSClient(settings)
    const { QueueUrls = [] } = await sqs.send(new ListQueuesCommand({ MaxResults: 1000 }))
    const QueueUrl = QueueUrls.find((url) => url.includes('AttributionAttributionsQueue'))!
    const attribute = async (name: QueueAttributeName) =>
      (await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [name] }))).Attributes![name]!
    const hide = (VisibilityTimeout: string) =>
      sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { VisibilityTimeout } }))
    const ask = async () => {
      const asked = { model: loop.run.adapters[0].name, prompt: 'This License', max_tokens: 48, temperature: 0 }
      const { openledger } = (await clientOf().completions.create(asked)) as unknown as {
        openledger: { receipt_id: string }
      }
      return openledger.receipt_id
    }
    const receiptOf = (id: string) => api.get(`/receipts/${id}`)
    const completed = (id: string) =>
      until('the attribution', 120, async () => {
        const found = await receiptOf(id)
        return found.state === 'completed' ? found : undefined
      })
    const inFlight = async () => Number(await attribute('ApproximateNumberOfMessagesNotVisible'))
    // The platform has just started again: until its endpoints are up an answer is 503. After one, both functions have a process.
    const awake = () =>
      ask().catch((error: { status?: number }) => (error.status === 503 ? undefined : Promise.reject(error)))
    await completed(await until('the endpoints', 120, awake))
    await until('an idle attribution queue', 120, async () => ((await inFlight()) === 0 ? true : undefined))

    const hidden = await attribute('VisibilityTimeout')
    await hide('5') // what a dead worker had received comes back after this long
    expect(signal('AttributionEnqueue', 'SIGSTOP')).toBeGreaterThan(0)
    expect(signal('AttributionAttribute', 'SIGSTOP')).toBeGreaterThan(0)
    const id = await ask()
    await sleep(3000)
    expect(await receiptOf(id)).toMatchObject({ state: 'pending' })
    expect(signal('AttributionEnqueue', 'SIGKILL')).toBeGreaterThan(0)
    await until('the worker to have the message', 60, async () => ((await inFlight()) > 0 ? true : undefined), 100)
    expect(signal('AttributionAttribute', 'SIGKILL')).toBeGreaterThan(0)
    expect(await receiptOf(id)).toMatchObject({ state: 'pending' })
    const done = await completed(id)
    await hide(hidden)
    expect(done.attribution.shares.length).toBeGreaterThan(0)

    const s3 = new S3Client(settings)
    const { Buckets = [] } = await s3.send(new ListBucketsCommand({}))
    const Bucket = Buckets.map(({ Name }) => Name!).find((name) => name.includes('storagereceipts'))!
    const lines = await until('its line in the receipt log', 60, async () => {
      const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: `receipt-log/epoch=${done.epoch}/` }))
      const texts = await Promise.all(
        (listed.Contents ?? []).map(async ({ Key }) => {
          const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: Key! }))
          return Body!.transformToString()
        }),
      )
      const found = new Set(
        texts
          .join('')
          .split('\n')
          .filter((line) => line.includes(id)),
      )
      return found.size > 0 ? found : undefined
    })
    expect(lines.size).toBe(1)
  }, 240_000)
