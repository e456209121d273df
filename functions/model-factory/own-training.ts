import type { Caller } from '#schema/accounts'
import { OpenLedgerError } from '#schema/errors'
import type { Training } from '#schema/models'

/** Somebody else's training does not exist for the caller. */
export const ownTraining = (caller: Caller, training: Training): Training => {
  if (training.owner !== caller.accountId) throw new OpenLedgerError('not-found', 'There is no such training.')
  return training
}
