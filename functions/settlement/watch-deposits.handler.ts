import { Movements } from '#ledger/movements.store'
import { Withdrawals } from '#ledger/withdrawals.store'
import { Records } from '#registry/records.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { LedgerDeposits } from './deposits/deposit-book.store.ts'
import { EscrowLogs } from './deposits/escrow.client.ts'
import { EscrowState } from './deposits/escrow-state.client.ts'
import { followWithdrawals } from './deposits/follow-withdrawals.ts'
import { scanDeposits } from './deposits/scan-deposits.ts'
import { provider } from './settler/chain.client.ts'

const env = environment(
  'LEDGER_TABLE',
  'REGISTRY_TABLE',
  'CHAIN_RPC_URL',
  'CHAIN_ID',
  'ESCROW_ADDRESS',
  'ESCROW_CODE_HASH',
  'OPERATOR_PAYEE',
  'FINALITY_BLOCKS_TAG',
)
const chainId = Number(env.CHAIN_ID)
const escrow = env.ESCROW_ADDRESS
const rpc = provider({ rpcUrl: env.CHAIN_RPC_URL, chainId })
const identity = { chainId, contract: escrow, codeHash: env.ESCROW_CODE_HASH }
const withdrawals = new Withdrawals(env.LEDGER_TABLE)
const address = process.env['OPERATOR_ADDRESS']?.toLowerCase()
const operator = address ? { address, account: env.OPERATOR_PAYEE } : undefined
const options = { table: env.LEDGER_TABLE, chainId, escrow, operator }
const book = new LedgerDeposits(
  options,
  { movements: new Movements(env.LEDGER_TABLE), withdrawals },
  new Records(env.REGISTRY_TABLE),
)
const logs = new EscrowLogs(rpc, identity, env.FINALITY_BLOCKS_TAG)
const state = new EscrowState(rpc, identity, env.FINALITY_BLOCKS_TAG)
/** Deployment block of the escrow; scanning from 0 is right, only slower the first time. */
const fromBlock = Number(process.env['ESCROW_FROM_BLOCK'] ?? 0)

/** Every minute: final deposits are credited to the account that proved their address; withdrawals leave the balance at once. */
export const handler = async () => {
  const report = await scanDeposits(logs, book, { chainId, fromBlock, overlap: 64, range: 2_000 })
  for (const credit of report.credited) logger.info('deposit credited', { ...credit })
  if (report.unmatched > 0) logger.warn('deposits wait for an account', { unmatched: report.unmatched })
  const followed = await followWithdrawals(state, withdrawals)
  for (const move of followed) logger.info('withdrawal followed', { ...move })
  return { ...report, withdrawals: followed }
}
