import { createHash } from 'node:crypto'
import type { Withdrawal } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import { readableContribution } from './contributions.ts'
import type { DatanetBook } from './datanet-book.store.ts'

interface Desk {
  book: Pick<DatanetBook, 'get' | 'contribution' | 'withdraw'>
  now: () => Date
  /** Starts the erasure of the bytes, once a digest. */
  erase: (withdrawal: { datanetId: string; contribution: string; digest: string }) => Promise<void>
}

/**
 * Takes a contribution, or rows of it, back: for its contributor and the curator. From here on no attribution names them;
 * their bytes are erased afterwards. Rows that are not this contribution's are recorded and change nothing. There is no
 * way back, and the same withdrawal again is the same.
 */
export const withdraw = async (
  { book, now, erase }: Desk,
  caller: { accountId: string },
  datanetId: string,
  contributionId: string,
  rows: readonly string[] | 'all',
): Promise<Withdrawal> => {
  const { state } = await readableContribution(book, caller, datanetId, contributionId)
  if (state !== 'accepted' && state !== 'withdrawn')
    throw new OpenLedgerError('wrong-state', `The contribution is ${state}: it has no rows that could be withdrawn.`)
  const named = rows === 'all' ? null : [...new Set(rows)].sort()
  const digest = named ? createHash('sha256').update(named.join()).digest('hex').slice(0, 24) : 'ALL'
  const recorded = await book.withdraw(
    { datanetId, contribution: contributionId, rows: named, by: caller.accountId, createdAt: now().toISOString() },
    digest,
  )
  await erase({ datanetId, contribution: contributionId, digest })
  return recorded
}
