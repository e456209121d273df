import type { Context } from 'aws-lambda'
import { Epochs } from '#ledger/epochs.store'
import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { EvmChain, finalityTag } from './settler/chain.client.ts'
import { EpochObjects } from './settler/epoch-files.store.ts'
import { KmsSigner } from './settler/kms-signer.client.ts'
import { LedgerEpochs } from './settler/ledger-epochs.store.ts'
import { LedgerItems, releaseLease, takeLease } from './settler/ledger-items.store.ts'
import { LeaseLost } from './settler/ports.ts'
import { settleEpochs } from './settler/settle-epochs.ts'

const env = environment(
  'LEDGER_TABLE',
  'RECEIPTS_BUCKET',
  'CHAIN_RPC_URL',
  'CHAIN_ID',
  'SETTLEMENT_ADDRESS',
  'SETTLEMENT_CODE_HASH',
  'SETTLER_KEY_ID',
  'SETTLER_ADDRESS',
  'PUSH_THRESHOLD',
  'FINALITY_BLOCKS_TAG',
)
const settlement = env.SETTLEMENT_ADDRESS
const settler = env.SETTLER_ADDRESS
const chainId = Number(env.CHAIN_ID)
const finality = finalityTag(env.FINALITY_BLOCKS_TAG)
const codeHash = env.SETTLEMENT_CODE_HASH
const chain = new EvmChain({ rpcUrl: env.CHAIN_RPC_URL, chainId, settlement, codeHash, settler, finality })
const signer = new KmsSigner({ keyId: env.SETTLER_KEY_ID, address: settler, chainId })
const book = new LedgerEpochs(new Epochs(env.LEDGER_TABLE))
const files = new EpochObjects(new Objects(env.RECEIPTS_BUCKET))
const policy = { feeCap: 500n * 10n ** 9n, staleAfterMs: 60_000, gasMarginPercent: 20n }
const MARGIN_MS = 5_000

/** Every minute: moves the open epochs as far as they go within this run's time. */
export const handler = async (_event: unknown, context: Pick<Context, 'awsRequestId' | 'getRemainingTimeInMillis'>) => {
  const left = context.getRemainingTimeInMillis()
  const lease = await takeLease(env.LEDGER_TABLE, context.awsRequestId, Date.now(), left)
  if (!lease) return { moved: 0, busy: true }
  const store = new LedgerItems({ table: env.LEDGER_TABLE, lease, signer: settler })
  try {
    const report = await settleEpochs({
      ...{ chain, signer, store, book, files, policy, settlement, now: Date.now },
      pushThreshold: BigInt(env.PUSH_THRESHOLD),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      ...{ deadline: Date.now() + left - MARGIN_MS, idleMs: 15_000, pollMs: 500 },
      log: (move) => logger.info('settlement item moved', { ...move }),
    })
    for (const stuck of report.stuck) logger.error('settlement stuck', { ...stuck })
    return report
  } catch (error) {
    if (error instanceof LeaseLost) return { moved: 0, busy: true }
    throw error
  } finally {
    await releaseLease(env.LEDGER_TABLE, lease)
  }
}
