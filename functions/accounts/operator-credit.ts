import { OpenLedgerError } from '#schema/errors'

export interface CreditPorts {
  /** Makes the operator stand behind the account; false when its own deposits do. */
  back(accountId: string): Promise<boolean>
  spendable(accountId: string): Promise<bigint>
  /** Was a movement with this reference made? */
  done(reference: string): Promise<boolean>
  /** Once per reference; false when it was done before. Throws `insufficient-balance`. */
  transfer(from: string, to: string, amount: bigint, reference: string): Promise<boolean>
}

/**
 * Operator credit is a transfer out of the operator's own balance, which only its deposits to the escrow fill: so every unit
 * that a client can spend lies in the escrow. An account that spends its own deposits takes none (see `backing.store.ts`).
 */
export const creditFromOperator = async (
  ports: CreditPorts,
  credit: { operator: string; accountId: string; amount: bigint; reference: string },
): Promise<boolean> => {
  const { operator, accountId, amount, reference } = credit
  if (amount === 0n) throw new OpenLedgerError('invalid-request', 'amount: must be above zero', { param: 'amount' })
  const unbacked = new OpenLedgerError(
    'insufficient-balance',
    'The operator’s balance does not cover this credit: deposit to the escrow from platform.operatorAddress first.',
    { param: 'amount' },
  )
  const name = `operator:${reference}`
  if (await ports.done(name)) return false
  // Before the account is bound to the operator for good.
  if ((await ports.spendable(operator)) < amount) throw unbacked
  if (!(await ports.back(accountId)))
    throw new OpenLedgerError(
      'wrong-state',
      'This account spends its own deposits: deposit for its address in the escrow.',
    )
  try {
    return await ports.transfer(operator, accountId, amount, name)
  } catch (error) {
    if (error instanceof OpenLedgerError && error.code === 'insufficient-balance') throw unbacked
    throw error
  }
}
