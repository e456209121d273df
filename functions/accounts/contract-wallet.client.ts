import { AbiCoder, FetchRequest, id, isCallException, JsonRpcProvider, Network } from 'ethers'
import { OpenLedgerError } from '#schema/errors'
import type { ContractWallet } from './address-proof.ts'

/** bytes4(keccak256("isValidSignature(bytes32,bytes)")), which ERC-1271 also makes the answer that means yes. */
const MAGIC = id('isValidSignature(bytes32,bytes)').slice(0, 10)
const RPC_TIMEOUT_MS = 8_000

/** Asks contract wallets over JSON-RPC. Throws `unavailable` when the node gives no answer: nothing is proved then. */
export const contractWallets = (rpcUrl: string, chainId: number): ContractWallet => {
  const network = Network.from(chainId)
  return async (wallet, digest, signature) => {
    const request = new FetchRequest(rpcUrl)
    request.timeout = RPC_TIMEOUT_MS
    const rpc = new JsonRpcProvider(request, network, { staticNetwork: network, cacheTimeout: -1, batchMaxCount: 1 })
    const args = AbiCoder.defaultAbiCoder().encode(['bytes32', 'bytes'], [digest, signature])
    try {
      if (Number(await rpc.send('eth_chainId', [])) !== chainId) throw new Error('the RPC serves another chain')
      if ((await rpc.getCode(wallet)) === '0x') return false
      const answer = await rpc.call({ to: wallet, data: MAGIC + args.slice(2) })
      return answer === MAGIC.padEnd(66, '0')
    } catch (error) {
      if (isCallException(error)) return false
      throw new OpenLedgerError('unavailable', 'The chain does not answer; try again.', { retryAfter: 5, cause: error })
    } finally {
      rpc.destroy()
    }
  }
}
