import { Balances } from '#ledger/balances.store'
import { Claims } from '#ledger/claims.store'
import { OpenHolds } from '#ledger/open-holds.store'
import { START_HOLD_SECONDS, TrainingCharge } from './training-charge.ts'

/** Longer than a starting request lives: its claim is taken over only when it died. */
const CLAIM_SECONDS = 60

/** The charges of trainings on the ledger table. */
export const trainingCharges = (table: string, now: () => Date): TrainingCharge => {
  const balances = new Balances(table)
  const claims = new Claims(table)
  const holds = new OpenHolds(table)
  const seconds = () => Math.floor(now().getTime() / 1000)
  return new TrainingCharge({
    claim: (receiptId) => claims.claim(receiptId, seconds(), CLAIM_SECONDS),
    unclaim: (receiptId) => claims.unclaim(receiptId),
    findHold: (accountId, receiptId) => holds.find(accountId, receiptId),
    reserve: (hold) => balances.reserve({ ...hold, now: seconds(), expires: seconds() + START_HOLD_SECONDS }),
    extend: (hold, more) => holds.extend(hold, seconds() + more),
    release: (hold) => balances.release(hold, hold.amount),
    settle: (hold, bill) => balances.settle(hold, bill),
  })
}
