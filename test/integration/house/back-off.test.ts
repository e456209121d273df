import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateQueueCommand, ReceiveMessageCommand, SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import type { SQSEvent, SQSRecord } from 'aws-lambda'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Emulator, startEmulator } from '../../../local/emulator/emulator.ts'
import { rememberedPorts } from '../../../local/processes/ports.ts'

/** A real queue whose messages hide for half an hour, as the attribution queue's do. */
let dir: string
let emulator: Emulator
let client: SQSClient
let queueUrl: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'openledger-queue-'))
  const { aws: port } = await rememberedPorts(join(dir, 'ports.json'))
  emulator = await startEmulator({ port, stateDir: join(dir, 'aws'), logFile: join(dir, 'aws.log'), iam: false })
  vi.stubEnv('AWS_ENDPOINT_URL', emulator.endpoint)
  vi.stubEnv('AWS_REGION', emulator.region)
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
  client = new SQSClient({})
  const asked = { QueueName: 'work', Attributes: { VisibilityTimeout: '1800' } }
  queueUrl = (await client.send(new CreateQueueCommand(asked))).QueueUrl!
  vi.stubEnv('WORK_QUEUE_URL', queueUrl)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await emulator?.stop()
  await rm(dir, { recursive: true, force: true })
})

const receive = async (): Promise<SQSRecord[]> => {
  const asked = { QueueUrl: queueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ['All' as const] }
  const { Messages = [] } = await client.send(new ReceiveMessageCommand(asked))
  return Messages.map(({ MessageId, ReceiptHandle, Body, Attributes }) => ({
    ...({ messageId: MessageId!, receiptHandle: ReceiptHandle!, body: Body! } as SQSRecord),
    attributes: Attributes as unknown as SQSRecord['attributes'],
  }))
}

test('what failed is seen again after a short while, what did not stays hidden until the queue deletes it', async () => {
  const { queueWorker, backOff } = await import('../../../functions/runtime/queue-worker.client.ts')
  expect([1, 2, 3, 4, 9].map(backOff)).toEqual([15, 60, 240, 960, 960])
  const Entries = ['good', 'bad'].map((Id) => ({ Id, MessageBody: Id }))
  await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }))
  const Records = await receive()
  expect(Records).toHaveLength(2)
  const bad = Records.find(({ body }) => body === 'bad')!
  const worker = queueWorker(
    async () => [bad.messageId],
    () => 1,
  )
  const failed = { batchItemFailures: [{ itemIdentifier: bad.messageId }] }
  await expect(worker({ Records } as SQSEvent)).resolves.toEqual(failed)
  await expect.poll(receive, { timeout: 10_000 }).toMatchObject([{ body: 'bad' }])
})

test('work that throws gives its whole batch back', async () => {
  const { queueWorker } = await import('../../../functions/runtime/queue-worker.client.ts')
  await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: [{ Id: 'c', MessageBody: 'thrown' }] }))
  const Records = await receive()
  const worker = queueWorker(
    async () => {
      throw new Error('the table is away')
    },
    () => 1,
  )
  const failed = { batchItemFailures: Records.map(({ messageId }) => ({ itemIdentifier: messageId })) }
  await expect(worker({ Records } as SQSEvent)).resolves.toEqual(failed)
  await expect.poll(receive, { timeout: 10_000 }).toMatchObject([{ body: 'thrown' }])
})
