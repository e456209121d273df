import {
  type FeeData,
  FetchRequest,
  isCallException,
  isError,
  JsonRpcProvider,
  Network,
  type TransactionReceipt,
} from 'ethers'
import { settlementInterface } from './calls.ts'
import { checkIdentity, finalHead } from './chain-identity.client.ts'
import type { Market } from './fees.ts'
import { CallReverts, type Chain, type MinedReceipt, type SettlementState, type View } from './ports.ts'

export interface ChainOptions {
  rpcUrl: string
  chainId: number
  settlement: string
  /** keccak256 of the settlement contract's runtime code. */
  codeHash: string
  settler: string
  /** Block tag that counts as final: `finalized` on a real chain. */
  finality: Finality
}

export type Finality = 'finalized' | 'safe' | 'latest'

/** @throws Error naming the value when it is none of the three tags */
export const finalityTag = (text: string): Finality => {
  if (text === 'finalized' || text === 'safe' || text === 'latest') return text
  throw new Error(`FINALITY_BLOCKS_TAG: finalized, safe or latest, not ${text}`)
}

const RPC_TIMEOUT_MS = 15_000
const ACCOUNTS_PER_CALL = 1_000
/** Node replies that mean: these bytes, or another transaction with their nonce, are known already. */
const KNOWN = /already known|already imported|known transaction|nonce too low|nonce has already been used/i
/** Node replies that mean: not at this price. The bytes are kept and offered again, with higher fees when they are stale. */
const UNDERPRICED = /underpriced|less than block base fee|below base fee|max fee per gas/i

/** A provider that neither caches nor guesses the network. */
export const provider = (
  { rpcUrl, chainId }: Pick<ChainOptions, 'rpcUrl' | 'chainId'>,
  timeoutMs = RPC_TIMEOUT_MS,
): JsonRpcProvider => {
  const network = Network.from(chainId)
  const request = new FetchRequest(rpcUrl)
  request.timeout = timeoutMs
  // "Too many requests" is tried again for about two seconds; then the run ends, and the next tick comes by itself.
  request.setThrottleParams({ maxAttempts: 4, slotInterval: 250 })
  return new JsonRpcProvider(request, network, { staticNetwork: network, cacheTimeout: -1 })
}

/** The settler's view of one EVM chain. */
export class EvmChain implements Chain {
  readonly #rpc: JsonRpcProvider
  readonly #options: ChainOptions
  #checked = false

  constructor(options: ChainOptions, rpc: JsonRpcProvider = provider(options)) {
    this.#options = options
    this.#rpc = rpc
  }

  async settlement(view: View): Promise<SettlementState> {
    await this.#checkChain()
    const block = await this.#block(view)
    const read = async (name: string, args: unknown[] = []) => {
      const data = settlementInterface.encodeFunctionData(name, args)
      const result = await this.#rpc.call({ to: this.#options.settlement, data, blockTag: block.number })
      return settlementInterface.decodeFunctionResult(name, result)
    }
    const [state, root] = await Promise.all([read('state'), read('currentRoot')])
    const epoch = Number(state['epoch'])
    const activatesAt = Number(state['activatesAt'])
    const pending =
      activatesAt === 0
        ? null
        : { epoch: epoch + 1, root: (await read('epochs', [epoch + 1]))['root'] as string, activatesAt }
    const pausedUntil = Number(state['pausedUntil'])
    return { block: block.number, time: block.timestamp, epoch, root: root[0] as string, pending, pausedUntil }
  }

  nonce(view: View): Promise<number> {
    return this.#rpc.getTransactionCount(this.#options.settler, this.#tag(view))
  }

  async finalBlock(): Promise<number> {
    return (await this.#block('final')).number
  }

  async market(): Promise<Market> {
    const [block, fees] = await Promise.all([this.#block('latest'), this.#rpc.getFeeData() as Promise<FeeData>])
    return { baseFee: block.baseFeePerGas ?? 0n, priorityFee: fees.maxPriorityFeePerGas ?? 0n }
  }

  async receipt(hash: string): Promise<MinedReceipt | null> {
    const receipt: TransactionReceipt | null = await this.#rpc.getTransactionReceipt(hash)
    return receipt && { hash: receipt.hash, block: receipt.blockNumber, succeeded: receipt.status === 1 }
  }

  async estimate(to: string, data: string): Promise<bigint> {
    try {
      return await this.#rpc.estimateGas({ from: this.#options.settler, to, data })
    } catch (error) {
      if (!isCallException(error)) throw error
      const known = error.data ? settlementInterface.parseError(error.data) : null
      throw new CallReverts(known ? `${known.name}(${known.args.join(', ')})` : (error.reason ?? error.shortMessage))
    }
  }

  async broadcast(raw: string): Promise<void> {
    try {
      await this.#rpc.send('eth_sendRawTransaction', [raw])
    } catch (error) {
      if (isError(error, 'NONCE_EXPIRED') || isError(error, 'REPLACEMENT_UNDERPRICED')) return
      const text = messages(error)
      if (!KNOWN.test(text) && !UNDERPRICED.test(text)) throw error
    }
  }

  async claimed(accounts: string[]): Promise<bigint[]> {
    const all: bigint[] = []
    for (let i = 0; i < accounts.length; i += ACCOUNTS_PER_CALL) {
      const part = accounts.slice(i, i + ACCOUNTS_PER_CALL)
      const data = settlementInterface.encodeFunctionData('claimedOfEach', [part])
      const result = await this.#rpc.call({ to: this.#options.settlement, data })
      all.push(...(settlementInterface.decodeFunctionResult('claimedOfEach', result)[0] as bigint[]))
    }
    return all
  }

  /** Another chain or contract behind the URL must not see our signed bytes. */
  async #checkChain(): Promise<void> {
    if (this.#checked) return
    const { chainId, settlement: contract, codeHash } = this.#options
    await checkIdentity(this.#rpc, { chainId, contract, codeHash })
    this.#checked = true
  }

  async #block(view: View) {
    if (view === 'final') return finalHead(this.#rpc, this.#options.finality)
    const block = await this.#rpc.getBlock('latest')
    if (!block) throw new Error('the RPC has no latest block')
    return block
  }

  #tag(view: View): string {
    return view === 'latest' ? 'latest' : this.#options.finality
  }
}

const messages = (error: unknown): string => {
  const { message, info } = error as { message?: string; info?: { error?: { message?: string } } }
  return `${message ?? ''} ${info?.error?.message ?? ''} ${(error as { error?: { message?: string } }).error?.message ?? ''}`
}
