import { OpenLedgerError } from '#schema/errors'
import { closeEpoch } from '../epoch/close-epoch.ts'
import type { EpochLog } from '../epoch/epoch-log.store.ts'
import type { Keccak } from '../epoch/keccak.ts'
import { EpochRefused } from '../epoch/refusal.ts'
import { NotRecomputable, type Recomputed } from './verdict.ts'

/** Reads the receipt log of an epoch, never its results, and calculates everything anew. */
export const recomputeFrom =
  (log: Pick<EpochLog, 'source'>, keccak: Keccak) =>
  async (number: number): Promise<Recomputed> => {
    try {
      const { epoch } = await closeEpoch(await log.source(number), keccak)
      const { prevRoot, root, receiptsRoot, dataHash } = epoch
      return { prevRoot, root, receiptsRoot, dataHash, total: BigInt(epoch.total), debits: BigInt(epoch.debits) }
    } catch (error) {
      const missing = error instanceof OpenLedgerError && error.code === 'not-found'
      if (missing) throw new NotRecomputable(`epoch ${number} has no log: ${error.message}`)
      if (error instanceof EpochRefused)
        throw new NotRecomputable(`the log of epoch ${number} is refused: ${error.message}`)
      throw error
    }
  }
