import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda'
import { environment } from '#runtime/environment'
import { send } from './queue.client.ts'

const env = environment('ATTRIBUTION_QUEUE_URL', 'RECEIPT_LOG_QUEUE_URL')

/**
 * Ledger stream -> queues, nothing else: the stream keeps 24 hours and its failure records hold no payload, a queue
 * keeps four days and its dead letters hold the message. The table stays the truth: messages carry ids only.
 */
export const handler = async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
  const pending: object[] = []
  const completed: object[] = []
  for (const { dynamodb } of event.Records) {
    const image = dynamodb?.NewImage
    const receiptId = image?.['PK']?.S?.match(/^RECEIPT#(.+)$/)?.[1]
    if (!receiptId) continue
    if (image?.['state']?.S === 'pending') pending.push({ receiptId })
    if (image?.['state']?.S === 'completed') completed.push({ receiptId, epoch: Number(image['epoch']?.N) })
  }
  await send(env.ATTRIBUTION_QUEUE_URL, pending)
  await send(env.RECEIPT_LOG_QUEUE_URL, completed)
  return { batchItemFailures: [] }
}
