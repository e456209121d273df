import { ChangeMessageVisibilityBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import { environment } from './environment.ts'
import { logger } from './logger.ts'

const FIRST_SECONDS = 15
const client = new SQSClient({ useQueueUrlAsEndpoint: false })

/** Seconds until a message is tried again after its `receives`-th failure: 15 s, 1 min, 4 min, 16 min. */
export const backOff = (receives: number): number => FIRST_SECONDS * 4 ** Math.min(Math.max(receives, 1) - 1, 3)

/**
 * A queue's worker, from work that returns the ids of the messages that failed (or throws: then all did). What failed
 * comes back after a short while that grows, in place of the queue's visibility timeout, which is made for a worker
 * that died: half an hour in which nobody would look at a receipt because an endpoint was away for ten seconds.
 */
export const queueWorker =
  (work: (event: SQSEvent) => Promise<string[]>, seconds = backOff) =>
  async (event: SQSEvent): Promise<SQSBatchResponse> => {
    const failed = new Set(
      await work(event).catch((error: Error) => {
        logger.error('the whole batch failed', { messages: event.Records.length, error })
        return event.Records.map(({ messageId }) => messageId)
      }),
    )
    const back = event.Records.filter(({ messageId }) => failed.has(messageId))
    await giveBack(environment('WORK_QUEUE_URL').WORK_QUEUE_URL, back, seconds)
    return { batchItemFailures: [...failed].map((itemIdentifier) => ({ itemIdentifier })) }
  }

/** Shortens how long received messages stay hidden. A refusal is logged only: they come back all the same, later. */
const giveBack = async (
  queueUrl: string,
  records: readonly SQSRecord[],
  seconds: (receives: number) => number,
): Promise<void> => {
  for (let i = 0; i < records.length; i += 10) {
    const Entries = records.slice(i, i + 10).map(({ receiptHandle, attributes }, n) => ({
      Id: String(n),
      ReceiptHandle: receiptHandle,
      VisibilityTimeout: seconds(Number(attributes.ApproximateReceiveCount)),
    }))
    try {
      const { Failed = [] } = await client.send(
        new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries }),
      )
      if (Failed.length > 0) logger.warn('messages come back late', { refused: Failed })
    } catch (error) {
      logger.warn('messages come back late', { messages: Entries.length, error: error as Error })
    }
  }
}
