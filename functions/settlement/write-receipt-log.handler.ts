import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { Receipts } from '#ledger/receipts.store'
import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { queueWorker } from '#runtime/queue-worker.client'
import { ReceiptCompleted } from '#schema/events'
import { Receipt } from '#schema/receipt'

const env = environment('LEDGER_TABLE', 'RECEIPTS_BUCKET')
const receipts = new Receipts(env.LEDGER_TABLE)
const log = new Objects(env.RECEIPTS_BUCKET)

/**
 * Worker of the receipt-log queue: completed receipts of a batch become one JSONL object an epoch, canonical JSON
 * (RFC 8785) a line. The record is read from the table; a repeated message writes the same line again, which the close drops.
 */
export const handler = queueWorker(async (event) => {
  const lines = new Map<number, string[]>()
  const failed: string[] = []
  for (const { body, messageId } of event.Records) {
    try {
      const { receiptId } = ReceiptCompleted.parse(JSON.parse(body))
      const { billing, attribution, epoch, completedAt } = await receipts.get(receiptId)
      const receipt = Receipt.parse({ billing, attribution, epoch, completedAt })
      lines.set(receipt.epoch, [...(lines.get(receipt.epoch) ?? []), canonicalize(receipt)!])
    } catch (error) {
      logger.error('a completed receipt could not be logged', { messageId, error: error as Error })
      failed.push(messageId)
    }
  }
  for (const [epoch, batch] of lines) {
    const text = `${batch.sort().join('\n')}\n`
    const name = createHash('sha256').update(text).digest('hex').slice(0, 32)
    await log.put(`receipt-log/epoch=${epoch}/${name}.jsonl`, text, { contentType: 'application/x-ndjson', once: true })
  }
  return failed
})
