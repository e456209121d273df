import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { queueWorker } from '#runtime/queue-worker.client'
import { ObjectCreated } from '#schema/events'
import { scoringPlaces } from '#schema/scoring'
import { attributeScored } from './attribute-receipts.ts'
import { ATTRIBUTION_ENV, attributionPorts } from './attribution-ports.store.ts'
import { send } from './queue.client.ts'
import { takeFailure } from './scoring-failures.ts'

const env = environment(...ATTRIBUTION_ENV, 'ATTRIBUTION_QUEUE_URL')
const { portsFor, stores, scorings } = attributionPorts(env, now, logger)

const failurePorts = {
  receiptsOf: (key: string) => scorings.receiptsOf(key),
  scoring: (receiptId: string) => scorings.find(receiptId),
  failed: scorings.failed.bind(scorings),
  again: (receiptIds: readonly string[], seconds: number) =>
    send(
      env.ATTRIBUTION_QUEUE_URL,
      receiptIds.map((receiptId) => ({ receiptId })),
      seconds,
    ),
  now,
}

/**
 * Worker of the scores queue: each message names what an influence endpoint left in S3. An answer completes its
 * receipts; a failure is noted on them, and they are asked for again.
 */
export const handler = queueWorker(async (event) => {
  const failed: string[] = []
  for (const { body, messageId, attributes } of event.Records) {
    const { key } = ObjectCreated.parse(JSON.parse(body)).detail.object
    try {
      if (key.startsWith(scoringPlaces.failures))
        logger.warn('scoring failed', { key, ...(await takeFailure(failurePorts, key, await stores.failure(key))) })
      else await attributeScored(portsFor(Number(attributes.ApproximateReceiveCount)), await stores.reply(key))
    } catch (error) {
      logger.error('scores not taken, their receipts stay pending', { key, error: error as Error })
      failed.push(messageId)
    }
  }
  return failed
})
