import { ExpiredHolds } from '#ledger/expired-holds.store'
import { COUNTER_SHARDS } from '#ledger/keys'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'

const holds = new ExpiredHolds(environment('LEDGER_TABLE').LEDGER_TABLE)

/** Every few minutes: holds whose request died go back to their account, once. */
export const handler = async (): Promise<{ freed: number }> => {
  const seconds = Math.floor(now().getTime() / 1000)
  let freed = 0
  for (let partition = 0; partition < COUNTER_SHARDS; partition++)
    for (const { accountId, shard } of await holds.waiting(partition))
      freed += await holds.sweep(accountId, shard, seconds)
  if (freed > 0) logger.info('expired holds released', { freed })
  return { freed }
}
