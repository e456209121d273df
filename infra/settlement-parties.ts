/** Accounts of the house itself. Nobody signs in as them; their addresses come from the configuration. */
export const PLATFORM_PAYEE = 'acc_000000000000000000000001'
export const TREASURY_PAYEE = 'acc_000000000000000000000002'
export const OPERATOR_PAYEE = 'acc_000000000000000000000003'
