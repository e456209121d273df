import type { StoredReceipt } from '#ledger/receipts.store'
import type { Caller } from '#schema/accounts'
import { OpenLedgerError } from '#schema/errors'

/** A receipt as its reader sees it. */
export const receiptView = (receipt: StoredReceipt, openEpoch: number) => ({
  receiptId: receipt.billing.receiptId,
  state: receipt.state,
  billing: receipt.billing,
  attribution: receipt.attribution,
  epoch: receipt.epoch,
  provisional: receipt.epoch === null || receipt.epoch >= openEpoch,
})

/** Payer, model owner, and who is paid by it may read a receipt; to others it does not exist. */
const mayRead = (caller: Caller, { billing, attribution }: StoredReceipt): boolean =>
  (caller.kind === 'person' && caller.operator) ||
  [billing.payer, billing.owner, ...(attribution?.shares ?? []).map(({ payee }) => payee)].includes(caller.accountId)

export const requireReader = (caller: Caller, receipt: StoredReceipt): void => {
  if (!mayRead(caller, receipt)) throw new OpenLedgerError('not-found', 'There is no such receipt.')
}
