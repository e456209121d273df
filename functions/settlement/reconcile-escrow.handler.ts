import { Withdrawals } from '#ledger/withdrawals.store'
import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { OpenLedgerError } from '#schema/errors'
import { EscrowState } from './deposits/escrow-state.client.ts'
import { EscrowDeficit, reconcile } from './deposits/reconcile.ts'
import { closing } from './epoch/closing-input.ts'
import { EpochLog } from './epoch/epoch-log.store.ts'
import { provider } from './settler/chain.client.ts'

const env = environment(
  'LEDGER_TABLE',
  'RECEIPTS_BUCKET',
  'CHAIN_RPC_URL',
  'CHAIN_ID',
  'ESCROW_ADDRESS',
  'ESCROW_CODE_HASH',
  'FINALITY_BLOCKS_TAG',
)
const chainId = Number(env.CHAIN_ID)
const identity = { chainId, contract: env.ESCROW_ADDRESS, codeHash: env.ESCROW_CODE_HASH }
const state = new EscrowState(provider({ rpcUrl: env.CHAIN_RPC_URL, chainId }), identity, env.FINALITY_BLOCKS_TAG)
const withdrawals = new Withdrawals(env.LEDGER_TABLE)
const log = new EpochLog(new Objects(env.RECEIPTS_BUCKET))

/** Between calculation and record: no epoch goes to the settler whose spending the escrow does not cover, client by client. */
export const handler = async (input: unknown): Promise<{ block: number; clients: number; surplus: string }> => {
  const { epoch } = closing(input)
  const file = await log.closed(epoch)
  if (!file) throw new OpenLedgerError('wrong-state', `Epoch ${epoch} is not calculated.`)
  try {
    const { block, clients, surplus } = await reconcile(await log.balances(epoch), file.unassignedSpent, {
      finalBlock: () => state.finalBlock(),
      clients: (addresses, block) => state.clients(addresses, block),
      pool: (block) => state.pool(block),
      ledger: (client) => withdrawals.snapshot(client),
    })
    logger.info('escrow reconciled', { epoch, block, clients, surplus: String(surplus) })
    return { block, clients, surplus: String(surplus) }
  } catch (error) {
    if (error instanceof EscrowDeficit) logger.error('escrow deficit', { epoch, deficits: error.deficits })
    throw error
  }
}
