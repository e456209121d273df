export interface BeginPorts {
  current(): Promise<number>
  /** Receipts that the ledger counted into an epoch. */
  counted(epoch: number): Promise<{ receipts: bigint }>
  isClosed(epoch: number): Promise<boolean>
  advanceFrom(epoch: number): Promise<void>
}

export type Begun = { outcome: 'close'; epoch: number; graceSeconds: number } | { outcome: 'empty'; epoch: number }

/**
 * Decides which epoch to close. An epoch that was begun and not closed comes first (its execution broke); otherwise the
 * open one stops taking receipts now, and the grace lets completions that were under way reach the log. An empty epoch
 * stays open: numbers on chain have no gaps.
 */
export const beginClose = async (ports: BeginPorts, graceSeconds: number): Promise<Begun> => {
  const open = await ports.current()
  if (open > 1 && !(await ports.isClosed(open - 1))) return { outcome: 'close', epoch: open - 1, graceSeconds }
  if ((await ports.counted(open)).receipts === 0n) return { outcome: 'empty', epoch: open }
  await ports.advanceFrom(open)
  return { outcome: 'close', epoch: open, graceSeconds }
}
