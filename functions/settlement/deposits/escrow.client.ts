import { FetchRequest, Interface, JsonRpcProvider, Network } from 'ethers'
import escrowAbi from '../../../contracts/abi/InferenceEscrow.json' with { type: 'json' }
import { type ChainIdentity, checkIdentity } from '../settler/chain-identity.client.ts'
import { type Deposit, type DepositSource, RangeTooLarge } from './scan-deposits.ts'

const escrowInterface = new Interface(escrowAbi)
const DEPOSITED = escrowInterface.getEvent('Deposited')!.topicHash
const RPC_TIMEOUT_MS = 15_000
/** Ways in which nodes say that a range or its result is too large. */
const TOO_LARGE = /range|too many|more than|limit|response size|10,?000 results/i

/** Deposits of one escrow contract. */
export class EscrowLogs implements DepositSource {
  readonly #rpc: JsonRpcProvider
  readonly #identity: ChainIdentity
  readonly #finality: string

  constructor(options: { rpcUrl: string; finality: string } & ChainIdentity) {
    const network = Network.from(options.chainId)
    const request = new FetchRequest(options.rpcUrl)
    request.timeout = RPC_TIMEOUT_MS
    this.#rpc = new JsonRpcProvider(request, network, { staticNetwork: network, cacheTimeout: -1 })
    this.#identity = options
    this.#finality = options.finality
  }

  async finalBlock(): Promise<number> {
    await checkIdentity(this.#rpc, this.#identity)
    const block = await this.#rpc.getBlock(this.#finality)
    if (!block) throw new Error(`the RPC has no ${this.#finality} block`)
    return block.number
  }

  async deposits(from: number, to: number): Promise<Deposit[]> {
    const filter = { address: this.#identity.contract, topics: [DEPOSITED], fromBlock: from, toBlock: to }
    const logs = await this.#rpc.getLogs(filter).catch((error: Error & { error?: { message?: string } }) => {
      if (to > from && TOO_LARGE.test(`${error.message} ${error.error?.message}`))
        throw new RangeTooLarge(error.message)
      throw error
    })
    return logs.map((log) => {
      const { args } = escrowInterface.parseLog(log)!
      return {
        client: (args['client'] as string).toLowerCase(),
        amount: args['amount'] as bigint,
        transactionHash: log.transactionHash,
        logIndex: log.index,
        block: log.blockNumber,
      }
    })
  }

  close(): void {
    this.#rpc.destroy()
  }
}
