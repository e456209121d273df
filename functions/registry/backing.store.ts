import * as z from 'zod'
import { Account } from '#schema/accounts'
import { OpenLedgerError } from '#schema/errors'
import { keys } from './keys.ts'
import type { Records } from './records.store.ts'

const Holder = z.object({ accountId: z.string() })

/** The account whose wallet proved the address. */
export const accountAt = async (records: Records, address: string): Promise<string | undefined> =>
  (await records.find(Holder, keys.address(address)))?.accountId

/**
 * Fixes who stands behind an account's balance on chain, with its first credit and for good: the operator, or the one
 * address whose escrow deposits it spends. Money of two backers in one balance could not be told apart when it is spent,
 * and a client whose spending moved to another leaf could withdraw what it spent. False when another backs it.
 */
export const backAccount = async (records: Records, accountId: string, backer: string): Promise<boolean> => {
  const { backedBy } = await records.get(Account, keys.account(accountId), 'account')
  if (backedBy !== undefined) return backedBy === backer
  try {
    await records.change(Account, keys.account(accountId), { backedBy: backer }, { backedBy: null })
    return true
  } catch (error) {
    if (!(error instanceof OpenLedgerError) || error.code !== 'wrong-state') throw error
    return (await records.get(Account, keys.account(accountId), 'account')).backedBy === backer
  }
}
