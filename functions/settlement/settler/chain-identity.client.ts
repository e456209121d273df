import { type Block, type JsonRpcProvider, keccak256 } from 'ethers'

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

/** A contract that is what was deployed, each time something final is read from it. */
export class CheckedContract {
  protected readonly rpc: JsonRpcProvider
  protected readonly identity: ChainIdentity
  protected readonly finality: string

  constructor(rpc: JsonRpcProvider, identity: ChainIdentity, finality: string) {
    this.rpc = rpc
    this.identity = identity
    this.finality = finality
  }

  async finalBlock(): Promise<number> {
    await checkIdentity(this.rpc, this.identity)
    return (await finalHead(this.rpc, this.finality)).number
  }
}

/**
 * The final block, or an error where the node contradicts itself: a final block ahead of the head, or two blocks of
 * one number, are a guess, and no money moves on a guess.
 */
export const finalHead = async (rpc: JsonRpcProvider, tag: string): Promise<Block> => {
  const [final, latest] = [await rpc.getBlock(tag), await rpc.getBlock('latest')]
  if (!final || !latest) throw new Error(`the RPC has no ${final ? 'latest' : tag} block`)
  if (final.number > latest.number)
    throw new WrongChain(`the RPC calls block ${final.number} ${tag}, its latest is ${latest.number}`)
  const again = await rpc.getBlock(final.number)
  if (again?.hash !== final.hash) throw new WrongChain(`the RPC has two blocks ${final.number}`)
  return final
}
