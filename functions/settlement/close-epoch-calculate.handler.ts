import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { closeEpoch } from './epoch/close-epoch.ts'
import { closing } from './epoch/closing-input.ts'
import { EpochLog } from './epoch/epoch-log.store.ts'
import { loadKeccak } from './epoch/keccak.ts'
import { EpochRefused } from './epoch/refusal.ts'

const log = new EpochLog(new Objects(environment('RECEIPTS_BUCKET').RECEIPTS_BUCKET))

/** Third step: calculates the epoch twice from its fixed log and writes its files. EpochRefused stops it, naming the receipt. */
export const handler = async (
  input: unknown,
): Promise<{ epoch: number; root: string; receipts: number; payees: number }> => {
  const { epoch, again } = closing(input)
  try {
    const closed = await closeEpoch(await log.source(epoch), await loadKeccak())
    await log.save(closed, again)
    const { root, receipts, payees } = closed.epoch
    logger.info('epoch calculated', { epoch, root, receipts, payees })
    return { epoch, root, receipts, payees }
  } catch (error) {
    if (error instanceof EpochRefused)
      logger.error('epoch refused', { epoch, code: error.code, receiptId: error.receiptId, where: error.where })
    throw error
  }
}
