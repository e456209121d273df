import { Movements } from '#ledger/movements.store'
import { backAccount } from '#registry/backing.store'
import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { creditFromOperator } from './operator-credit.ts'

const env = environment('REGISTRY_TABLE', 'LEDGER_TABLE', 'OPERATOR_PAYEE')
const records = new Records(env.REGISTRY_TABLE)
const movements = new Movements(env.LEDGER_TABLE)

/** The operator's own reference is the idempotency key: sending it again credits nothing. */
export const handler = apiDoor('creditAccount', async ({ params, body }) => ({
  credited: await creditFromOperator(
    {
      back: (accountId) => backAccount(records, accountId, 'operator'),
      done: (reference) => movements.done(reference),
      spendable: (accountId) => movements.spendable(accountId),
      transfer: (from, to, amount, reference) => movements.transfer(from, to, amount, reference),
    },
    {
      operator: env.OPERATOR_PAYEE,
      accountId: params.accountId,
      amount: BigInt(body.amount),
      reference: body.reference,
    },
  ),
}))
