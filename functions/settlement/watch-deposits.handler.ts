import { Balances } from '#ledger/balances.store'
import { Records } from '#registry/records.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { LedgerDeposits } from './deposits/deposit-book.store.ts'
import { EscrowLogs } from './deposits/escrow.client.ts'
import { scanDeposits } from './deposits/scan-deposits.ts'

const env = environment(
  'LEDGER_TABLE',
  'REGISTRY_TABLE',
  'CHAIN_RPC_URL',
  'CHAIN_ID',
  'ESCROW_ADDRESS',
  'ESCROW_CODE_HASH',
  'FINALITY_BLOCKS_TAG',
)
const chainId = Number(env.CHAIN_ID)
const escrow = env.ESCROW_ADDRESS
const source = new EscrowLogs({
  rpcUrl: env.CHAIN_RPC_URL,
  chainId,
  contract: escrow,
  codeHash: env.ESCROW_CODE_HASH,
  finality: env.FINALITY_BLOCKS_TAG,
})
const book = new LedgerDeposits(
  { table: env.LEDGER_TABLE, chainId, escrow },
  new Balances(env.LEDGER_TABLE),
  new Records(env.REGISTRY_TABLE),
)
/** Deployment block of the escrow; scanning from 0 is right, only slower the first time. */
const fromBlock = Number(process.env['ESCROW_FROM_BLOCK'] ?? 0)

/** Every minute: deposits that became final are credited to the account that is paid at their address. */
export const handler = async () => {
  const report = await scanDeposits(source, book, { chainId, fromBlock, overlap: 64, range: 2_000 })
  for (const credit of report.credited) logger.info('deposit credited', { ...credit })
  if (report.unmatched > 0) logger.warn('deposits wait for an account', { unmatched: report.unmatched })
  return report
}
