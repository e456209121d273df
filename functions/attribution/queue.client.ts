import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'

// Where AWS is, not the host that the queue's URL had when the stack was deployed: the embedded AWS may have moved.
const client = new SQSClient({ useQueueUrlAsEndpoint: false })

/**
 * Sends messages in batches of ten (SQS's limit); throws when the queue did not take one, so that the caller's source
 * repeats it. They come after `delaySeconds`, at most 900.
 */
export const send = async (queueUrl: string, messages: readonly object[], delaySeconds = 0): Promise<void> => {
  for (let i = 0; i < messages.length; i += 10) {
    const batch = messages
      .slice(i, i + 10)
      .map((message, n) => ({ Id: String(n), MessageBody: JSON.stringify(message), DelaySeconds: delaySeconds }))
    const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: batch }))
    if (Failed.length > 0) throw new Error(`the queue refused ${Failed.length} messages: ${Failed[0]!.Message}`)
  }
}
