import { Interface, type Log } from 'ethers'
import escrowAbi from '../../../contracts/abi/InferenceEscrow.json' with { type: 'json' }
import { CheckedContract } from '../settler/chain-identity.client.ts'
import { type Deposit, type DepositSource, RangeTooLarge } from './scan-deposits.ts'

const escrowInterface = new Interface(escrowAbi)
const DEPOSITED = escrowInterface.getEvent('Deposited')!.topicHash
const REQUESTED = escrowInterface.getEvent('WithdrawalRequested')!.topicHash
/** Ways in which nodes say that a range or its result is too large. */
const TOO_LARGE = /range|too many|more than|limit|response size|10,?000 results/i

/** Deposits of one escrow contract. */
export class EscrowLogs extends CheckedContract implements DepositSource {
  latestBlock(): Promise<number> {
    return this.rpc.getBlockNumber()
  }

  async requests(from: number, to: number): Promise<string[]> {
    const logs = await this.#logs(REQUESTED, from, to)
    return logs.map((log) => (escrowInterface.parseLog(log)!.args['client'] as string).toLowerCase())
  }

  async deposits(from: number, to: number): Promise<Deposit[]> {
    const logs = await this.#logs(DEPOSITED, from, to)
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

  async #logs(topic: string, fromBlock: number, toBlock: number): Promise<Log[]> {
    const filter = { address: this.identity.contract, topics: [topic], fromBlock, toBlock }
    const logs = await this.rpc.getLogs(filter).catch((error: Error & { error?: { message?: string } }) => {
      if (toBlock > fromBlock && TOO_LARGE.test(`${error.message} ${error.error?.message}`))
        throw new RangeTooLarge(error.message)
      throw error
    })
    for (const log of logs) {
      const ours = log.address.toLowerCase() === this.identity.contract.toLowerCase() && log.topics[0] === topic
      if (!ours || log.removed || log.blockNumber < fromBlock || log.blockNumber > toBlock)
        throw new Error(`the RPC answered with a log that was not asked for: ${log.transactionHash}:${log.index}`)
    }
    return logs
  }
}
