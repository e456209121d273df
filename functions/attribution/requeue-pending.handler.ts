import { COUNTER_SHARDS } from '#ledger/keys'
import { Receipts } from '#ledger/receipts.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { send } from './queue.client.ts'

const env = environment('LEDGER_TABLE', 'ATTRIBUTION_QUEUE_URL')
const receipts = new Receipts(env.LEDGER_TABLE)
const PENDING_TOO_LONG_MS = 10 * 60_000

/** Scheduled: a receipt that is still pending after ten minutes is asked for again, whatever became of its message. */
export const handler = async (): Promise<{ requeued: number }> => {
  const before = new Date(now().getTime() - PENDING_TOO_LONG_MS).toISOString()
  let requeued = 0
  for (let partition = 0; partition < COUNTER_SHARDS; partition++) {
    const late = await receipts.pendingSince(partition, before)
    await send(
      env.ATTRIBUTION_QUEUE_URL,
      late.map((receiptId) => ({ receiptId })),
    )
    requeued += late.length
  }
  if (requeued > 0) logger.warn('pending receipts requeued', { requeued })
  return { requeued }
}
