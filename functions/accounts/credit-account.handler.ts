import { Balances } from '#ledger/balances.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'

const balances = new Balances(environment('LEDGER_TABLE').LEDGER_TABLE)

/** The operator's own reference is the idempotency key: sending it again credits nothing. */
export const handler = apiDoor('creditAccount', async ({ params, body }) => ({
  credited: await balances.credit(params.accountId, BigInt(body.amount), `operator:${body.reference}`),
}))
