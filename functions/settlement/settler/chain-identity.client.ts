import { type JsonRpcProvider, keccak256 } from 'ethers'

/** The contract that the operator deployed, as `deployments/<chainId>.json` describes it. */
export interface ChainIdentity {
  chainId: number
  /** Address of the contract. */
  contract: string
  /** keccak256 of its runtime code. */
  codeHash: string
}

/** The RPC serves another chain, or other code at the address: nothing is signed for it, and nothing believed from it. */
class WrongChain extends Error {}

/** Once a process is enough: code does not change under an address (EIP-6780), and a URL seldom changes its chain. */
export const checkIdentity = async (rpc: JsonRpcProvider, expected: ChainIdentity): Promise<void> => {
  const chainId = Number(await rpc.send('eth_chainId', []))
  if (chainId !== expected.chainId) throw new WrongChain(`the RPC serves chain ${chainId}, not ${expected.chainId}`)
  const found = keccak256(await rpc.getCode(expected.contract))
  if (found !== expected.codeHash)
    throw new WrongChain(`the code at ${expected.contract} has the hash ${found}, not ${expected.codeHash}`)
}
