import { Objects } from '#registry/objects.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { EpochLog } from './epoch/epoch-log.store.ts'
import { loadKeccak } from './epoch/keccak.ts'
import { EvmChain, finalityTag, provider } from './settler/chain.client.ts'
import { checkIdentity } from './settler/chain-identity.client.ts'
import { KmsSigner } from './settler/kms-signer.client.ts'
import { recomputeFrom } from './watcher/recompute.store.ts'
import { readPending, sendVeto } from './watcher/veto.client.ts'
import { watchRoot } from './watcher/watch-root.ts'

const env = environment(
  'RECEIPTS_BUCKET',
  'CHAIN_RPC_URL',
  'CHAIN_ID',
  'SETTLEMENT_ADDRESS',
  'SETTLEMENT_CODE_HASH',
  'WATCHER_KEY_ID',
  'WATCHER_ADDRESS',
  'FINALITY_BLOCKS_TAG',
)
const { WATCHER_KEY_ID: keyId, WATCHER_ADDRESS: address, SETTLEMENT_CODE_HASH: codeHash } = env
const settlement = env.SETTLEMENT_ADDRESS
const chainId = Number(env.CHAIN_ID)
const finality = finalityTag(env.FINALITY_BLOCKS_TAG)
const rpc = provider({ rpcUrl: env.CHAIN_RPC_URL, chainId })
const from = { rpcUrl: env.CHAIN_RPC_URL, settler: address, finality }
const chain = new EvmChain({ ...from, chainId, settlement, codeHash }, rpc)
const signer = new KmsSigner({ keyId, address, chainId })
const log = new EpochLog(new Objects(env.RECEIPTS_BUCKET))
const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 1_000))

/** Every minute, with a role and a key of its own: no root becomes active that the receipt log does not give. */
export const handler = async () => {
  await checkIdentity(rpc, { chainId, contract: settlement, codeHash })
  const report = await watchRoot({
    pending: () => readPending(rpc, settlement),
    recompute: recomputeFrom(log, await loadKeccak()),
    veto: sendVeto({ chain, signer, settlement, pause }),
  })
  if (report?.is === 'veto') logger.error('root vetoed', { ...report })
  if (report?.is === 'unknown') logger.error('root not checked', { ...report })
  return report ?? { is: 'nothing-pending' }
}
