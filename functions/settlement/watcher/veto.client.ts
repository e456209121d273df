import type { JsonRpcProvider } from 'ethers'
import { settlementInterface } from '../settler/calls.ts'
import type { Chain, TransactionSigner } from '../settler/ports.ts'
import type { Proposal } from './verdict.ts'

const VETO_GAS = 200_000n
const LOOKS = 40

/** The pending proposal with all its facts, read at one block. */
export const readPending = async (rpc: JsonRpcProvider, settlement: string): Promise<Proposal | null> => {
  const block = await rpc.getBlock('latest')
  if (!block) throw new Error('the RPC has no latest block')
  const read = async (name: string, args: unknown[] = []) => {
    const data = settlementInterface.encodeFunctionData(name, args)
    const result = await rpc.call({ to: settlement, data, blockTag: block.number })
    return settlementInterface.decodeFunctionResult(name, result)
  }
  const state = await read('state')
  const activatesAt = Number(state['activatesAt'])
  if (activatesAt === 0) return null
  const epoch = Number(state['epoch']) + 1
  const [prevRoot, proposed, total, debits] = await Promise.all([
    read('currentRoot'),
    read('epochs', [epoch]),
    read('pendingTotal'),
    read('pendingDebits'),
  ])
  return {
    epoch,
    prevRoot: prevRoot[0],
    root: proposed['root'],
    receiptsRoot: proposed['receiptsRoot'],
    dataHash: proposed['dataHash'],
    total: total[0],
    debits: debits[0],
    proposedAt: Number(state['pendingProposedAt']),
    activatesAt,
    now: block.timestamp,
  }
}

/** Sends the veto at three times the market, and waits until it is mined. */
export const sendVeto =
  (ports: { chain: Chain; signer: TransactionSigner; settlement: string; pause: () => Promise<void> }) =>
  async (epoch: number, root: string): Promise<void> => {
    const { chain, signer, settlement, pause } = ports
    const [nonce, market] = await Promise.all([chain.nonce('latest'), chain.market()])
    const maxPriorityFeePerGas = 3n * market.priorityFee + 1n
    const fees = { maxFeePerGas: 3n * market.baseFee + maxPriorityFeePerGas, maxPriorityFeePerGas }
    const data = settlementInterface.encodeFunctionData('veto', [epoch, root])
    const { raw, hash } = await signer.sign({ to: settlement, data, gasLimit: VETO_GAS, nonce, ...fees })
    await chain.broadcast(raw)
    for (let look = 0; look < LOOKS; look++) {
      const receipt = await chain.receipt(hash)
      if (receipt?.succeeded) return
      if (receipt) throw new Error(`the veto of epoch ${epoch} failed on chain: ${hash}`)
      await pause()
    }
    throw new Error(`the veto of epoch ${epoch} is not mined yet: ${hash}`)
  }
