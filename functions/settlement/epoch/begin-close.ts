import type { EpochRecord } from '#schema/epoch'
import { OpenLedgerError } from '#schema/errors'

export interface BeginPorts {
  current(): Promise<number>
  /** Receipts that the ledger counted into an epoch. */
  counted(epoch: number): Promise<{ receipts: bigint }>
  /** The record of a closed epoch. */
  find(epoch: number): Promise<Pick<EpochRecord, 'state'> | undefined>
  advanceFrom(epoch: number): Promise<void>
}

/** `again`: an operator closes a vetoed epoch once more. */
export type Begun =
  | { outcome: 'close'; epoch: number; graceSeconds: number; again: boolean }
  | { outcome: 'empty'; epoch: number }

/**
 * Decides which epoch to close. An epoch that was begun and not closed comes first (its execution broke); otherwise the
 * open one stops taking receipts now, and the grace lets completions that were under way reach the log. An empty epoch
 * stays open: numbers on chain have no gaps. Nothing is closed on top of a vetoed epoch, since its balances may change:
 * receipts wait in the open one. `reopen`: an operator's word, and nothing else, closes a vetoed epoch again.
 */
export const beginClose = async (ports: BeginPorts, graceSeconds: number, reopen?: number): Promise<Begun> => {
  if (reopen !== undefined) {
    mustBeVetoed(reopen, await ports.find(reopen))
    return { outcome: 'close', epoch: reopen, graceSeconds: 0, again: true }
  }
  const open = await ports.current()
  const last = open > 1 ? await ports.find(open - 1) : undefined
  if (open > 1 && !last) return { outcome: 'close', epoch: open - 1, graceSeconds, again: false }
  if (last?.state === 'vetoed')
    throw new OpenLedgerError(
      'wrong-state',
      `Epoch ${open - 1} was vetoed: find out why, then close it again by reopen.`,
    )
  if ((await ports.counted(open)).receipts === 0n) return { outcome: 'empty', epoch: open }
  await ports.advanceFrom(open)
  return { outcome: 'close', epoch: open, graceSeconds, again: false }
}

export const mustBeVetoed = (epoch: number, record: Pick<EpochRecord, 'state'> | undefined): void => {
  if (record?.state !== 'vetoed')
    throw new OpenLedgerError('wrong-state', `Epoch ${epoch} is ${record?.state ?? 'not closed'}, not vetoed.`)
}
