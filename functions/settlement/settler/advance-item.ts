import { bumpedFees, firstFees } from './fees.ts'
import { type Goal, goalOf } from './goal.ts'
import { type Attempt, type Item, itemName, liveAttempt } from './item.ts'
import {
  CallReverts,
  type Chain,
  type MinedReceipt,
  type SettlementState,
  type SettlementStore,
  type TransactionSigner,
} from './ports.ts'

interface SettlerPolicy {
  /** Highest maxFeePerGas ever offered, wei. */
  feeCap: bigint
  /** A transaction that is not mined after this long is offered again with higher fees. */
  staleAfterMs: number
  /** Added to every gas estimate, percent. */
  gasMarginPercent: bigint
}

export interface SettlerPorts {
  chain: Chain
  signer: TransactionSigner
  store: SettlementStore
  now: () => number
  policy: SettlerPolicy
}

/** Outcome of one step. `moved`: call again at once. `wait`: nothing to do before the chain moves. */
export type Step =
  | { item: Item; is: 'moved' }
  | { item: Item; is: 'wait'; at?: number; why: string }
  | { item: Item; is: 'stuck'; why: string }

/**
 * Takes an item one state further, or says why not. Reads the chain before it acts; each state is persisted before the
 * step that relies on it, so a crash at any point repeats a step that may be repeated: the same nonce, the same bytes.
 * `call` gives the calldata when the item gets its nonce.
 */
export const advanceItem = async (item: Item, ports: SettlerPorts, call: () => Promise<string>): Promise<Step> => {
  switch (item.state) {
    case 'PLANNED':
      return giveNonce(item, ports, call)
    case 'NONCED':
      return sign(item, ports)
    case 'SIGNED':
      return send(item, ports)
    case 'SENT':
      return look(item, ports)
    case 'MINED':
      return finish(item, ports)
    default:
      return { item, is: 'wait', why: 'it has ended' }
  }
}

const giveNonce = async (item: Item, ports: SettlerPorts, call: () => Promise<string>): Promise<Step> => {
  const { chain, store, policy } = ports
  const goal = goalOf(item, onTheClock(await chain.settlement('latest'), ports))
  if (goal.is === 'done') return endWhenFinal(item, ports)
  if (goal.is !== 'due') return pause(item, goal)
  const data = await call()
  let gas: bigint
  try {
    gas = await chain.estimate(item.to, data)
  } catch (error) {
    if (!(error instanceof CallReverts)) throw error
    return { item, is: /^(WindowOpen|IsPaused)/.test(error.reason) ? 'wait' : 'stuck', why: error.message }
  }
  const [mined, given] = await Promise.all([chain.nonce('latest'), store.nextNonce()])
  const gasLimit = gas + (gas * policy.gasMarginPercent) / 100n
  const next = await store.giveNonce({ ...item, state: 'NONCED', data, gasLimit }, Math.max(mined, given))
  return { item: next, is: 'moved' }
}

/** A chain that makes blocks only for transactions has an old latest block: the next one will carry the time of now. */
const onTheClock = (state: SettlementState, { now }: SettlerPorts): SettlementState => ({
  ...state,
  time: Math.max(state.time, Math.floor(now() / 1000)),
})

const sign = async (item: Item, ports: SettlerPorts): Promise<Step> => {
  const fees = firstFees(await ports.chain.market(), ports.policy.feeCap)
  return keep(item, await signed(item, fees, ports), ports)
}

const signed = async (item: Item, fees: Omit<Attempt, 'raw' | 'hash' | 'at'>, ports: SettlerPorts) => {
  const { to, data, gasLimit, nonce } = item
  if (nonce === null) throw new Error(`${itemName(item)} of epoch ${item.epoch} has no nonce`)
  return { ...(await ports.signer.sign({ to, data, gasLimit, nonce, ...fees })), ...fees, at: ports.now() }
}

const keep = async (item: Item, attempt: Attempt, { store }: SettlerPorts): Promise<Step> => {
  const attempts = [...item.attempts, attempt]
  return { item: await store.save({ ...item, state: 'SIGNED', attempts }), is: 'moved' }
}

const send = async (item: Item, { chain, store }: SettlerPorts): Promise<Step> => {
  await chain.broadcast(liveAttempt(item).raw)
  return { item: await store.save({ ...item, state: 'SENT' }), is: 'moved' }
}

const look = async (item: Item, ports: SettlerPorts): Promise<Step> => {
  const { chain, store } = ports
  const receipt = await anyReceipt(item, chain)
  if (receipt?.succeeded) {
    const mined = { minedHash: receipt.hash, minedBlock: receipt.block }
    return { item: await store.save({ ...item, state: 'MINED', ...mined }), is: 'moved' }
  }
  if (receipt) return failed(item, receipt, ports)
  if ((await chain.nonce('final')) > item.nonce!) return foreignNonce(item, ports)
  return offerAgain(item, ports)
}

const anyReceipt = async (item: Item, chain: Chain): Promise<MinedReceipt | null> => {
  for (const { hash } of [...item.attempts].reverse()) {
    const receipt = await chain.receipt(hash)
    if (receipt) return receipt
  }
  return null
}

/** The chain ran it and it failed: it used its nonce, and once that is final it is planned anew. */
const failed = async (item: Item, receipt: MinedReceipt, ports: SettlerPorts): Promise<Step> => {
  if ((await ports.chain.finalBlock()) < receipt.block)
    return { item, is: 'wait', why: 'it failed; waiting for finality' }
  return startOver(item, `failed on chain: ${receipt.hash}`, ports)
}

/** The nonce went to a transaction that is not ours, for good: none of our versions can be mined any more. */
const foreignNonce = async (item: Item, ports: SettlerPorts): Promise<Step> => {
  // The node may have seen the nonce before the receipt: only a second look after the final nonce counts.
  const receipt = await anyReceipt(item, ports.chain)
  if (receipt) return { item, is: 'moved' }
  return startOver(item, `nonce ${item.nonce} was used by another transaction`, ports)
}

const startOver = async (item: Item, note: string, { store }: SettlerPorts): Promise<Step> => {
  const fresh = { nonce: null, attempts: [], data: '0x', gasLimit: 0n, failures: item.failures + 1, note }
  return { item: await store.save({ ...item, state: 'PLANNED', ...fresh }), is: 'moved' }
}

const offerAgain = async (item: Item, ports: SettlerPorts): Promise<Step> => {
  const { chain, policy, now } = ports
  const live = liveAttempt(item)
  if (now() - live.at >= policy.staleAfterMs) {
    const fees = bumpedFees(live, await chain.market(), policy.feeCap)
    if (fees) return keep(item, await signed(item, fees, ports), ports)
  }
  await chain.broadcast(live.raw)
  const age = Math.round((now() - live.at) / 1000)
  return age * 1000 < 3 * policy.staleAfterMs
    ? { item, is: 'wait', why: 'in the network' }
    : { item, is: 'stuck', why: `not mined for ${age} s at the highest fee allowed` }
}

const finish = async (item: Item, { chain, store }: SettlerPorts): Promise<Step> => {
  const receipt = await chain.receipt(item.minedHash!)
  if (!receipt?.succeeded) {
    const back = { state: 'SENT', minedHash: null, minedBlock: null } as const
    return { item: await store.save({ ...item, ...back }), is: 'moved' }
  }
  if ((await chain.finalBlock()) < receipt.block) return { item, is: 'wait', why: 'mined; waiting for finality' }
  return { item: await store.save({ ...item, state: 'FINAL', minedBlock: receipt.block }), is: 'moved' }
}

const endWhenFinal = async (item: Item, { chain, store }: SettlerPorts): Promise<Step> => {
  const goal = goalOf(item, await chain.settlement('final'))
  if (goal.is !== 'done') return { item, is: 'wait', why: 'done by another; waiting for finality' }
  return { item: await store.save({ ...item, state: 'FINAL', note: goal.note }), is: 'moved' }
}

const pause = (item: Item, goal: Exclude<Goal, { is: 'done' | 'due' }>): Step =>
  goal.is === 'refused'
    ? { item, is: 'stuck', why: goal.why }
    : { item, is: 'wait', why: goal.why, ...(goal.at === undefined ? {} : { at: goal.at }) }
