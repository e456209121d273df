import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { queueWorker } from '#runtime/queue-worker.client'
import { AttributionRequested } from '#schema/events'
import { attributeReceipts } from './attribute-receipts.ts'
import { ATTRIBUTION_ENV, attributionPorts } from './attribution-ports.store.ts'

const { portsFor } = attributionPorts(environment(...ATTRIBUTION_ENV), now, logger)

/** Worker of the attribution queue: what fails goes back to the queue, and to its dead letters after five times. */
export const handler = queueWorker(async (event) => {
  const messages = new Map(
    event.Records.map((record) => [AttributionRequested.parse(JSON.parse(record.body)).receiptId, record.messageId]),
  )
  const delivery = Math.max(...event.Records.map(({ attributes }) => Number(attributes.ApproximateReceiveCount)))
  const failed = await attributeReceipts(portsFor(delivery), [...messages.keys()], (receiptIds, error) =>
    logger.error('attribution failed, the receipts stay pending', { receiptIds, error: error as Error }),
  )
  return failed.map((receiptId) => messages.get(receiptId)!)
})
