import type { SettlerPorts, Step } from './advance-item.ts'
import { firstFees } from './fees.ts'

const PLAIN_TRANSFER_GAS = 21_000n
/** Offers without effect before the reason is looked for elsewhere than in the fees. */
const OFFERS = 3

/**
 * A transaction cannot be mined while a nonce before it is free. That happens when the transaction of somebody else that
 * had used that nonce was lost in a reorganisation. The free nonce is then used up by an empty transfer to ourselves: it
 * needs no record, since any transaction with that nonce will do, ours included.
 * @returns the nonce that was filled
 */
export const fillGap = async (steps: Step[], ports: SettlerPorts): Promise<number | undefined> => {
  const { chain, signer, policy } = ports
  const waiting = steps
    .map(({ item }) => item)
    .filter(({ state, attempts }) => state === 'SENT' && attempts.length >= OFFERS)
  const live = steps.flatMap(({ item }) => (item.state === 'SENT' && item.nonce !== null ? [item.nonce] : []))
  if (waiting.length === 0) return undefined
  const free = await chain.nonce('latest')
  if (free >= Math.min(...live)) return undefined
  const fees = firstFees(await chain.market(), policy.feeCap)
  const transfer = { to: signer.address, data: '0x', gasLimit: PLAIN_TRANSFER_GAS, nonce: free }
  await chain.broadcast((await signer.sign({ ...transfer, ...fees })).raw)
  return free
}
