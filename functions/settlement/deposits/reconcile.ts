import { LEAF_BYTES, SPENT, unpackLeaf } from '../epoch/leaf.ts'
import type { EscrowClient } from './follow-withdrawals.ts'

/** The ledger and the chain disagree to somebody's loss: nothing may be signed before an operator has looked. */
export class EscrowDeficit extends Error {
  readonly deficits: Deficit[]
  constructor(deficits: Deficit[], block: number) {
    super(`at block ${block}: ${deficits.map(({ client, why }) => `${client} ${why}`).join('; ')}`)
    this.name = 'EscrowDeficit'
    this.deficits = deficits
  }
}
export interface Deficit {
  client: string
  why: string
}

export interface ReconcilePorts {
  /** One finalized block; everything of the chain is read there. */
  finalBlock(): Promise<number>
  clients(addresses: readonly string[], block: number): Promise<EscrowClient[]>
  /** Money of the escrow by its own accounts, and cumulative debits that the settlement contract drew from it. */
  pool(block: number): Promise<{ held: bigint; funded: bigint }>
  /** The ledger's account of a client at one moment; undefined when nothing of it was ever credited. */
  ledger(client: string): Promise<{ credited: bigint; out: bigint; owed: bigint } | undefined>
}
export interface Reconciled {
  block: number
  clients: number
  /** Deposits that no account has been credited for, and the like: kept, and no reason to stop. */
  surplus: bigint
}

/**
 * Compares, per client and at one finalized block: deposits >= what was credited; deposits less withdrawals >= spending by
 * the epoch's leaf; what the ledger owes (spendable, held, spent) <= credited less taken. And in sum: the escrow holds what is
 * still to be drawn. Internal accounts only: tokens sent to the contract by nobody's deposit do not count. Throws EscrowDeficit.
 */
export const reconcile = async (
  balances: Uint8Array,
  unassignedSpent: readonly { client: string; amount: string }[],
  ports: ReconcilePorts,
): Promise<Reconciled> => {
  const block = await ports.finalBlock()
  const spent = spentLeaves(balances)
  const addresses = [...spent.keys()]
  const onChain = await ports.clients(addresses, block)
  const deficits: Deficit[] = unassignedSpent.map(({ client, amount }) => ({
    client,
    why: `spent ${amount} that no escrow client carries`,
  }))
  let surplus = 0n
  for (const [i, client] of addresses.entries()) {
    const { deposited, withdrawn } = onChain[i]!
    const leaf = spent.get(client)!
    const ledger = await ports.ledger(client)
    const wrong = (holds: boolean, why: string) => holds || deficits.push({ client, why })
    wrong(leaf <= deposited - withdrawn, `spent ${leaf} of ${deposited} deposited less ${withdrawn} withdrawn`)
    if (!ledger) continue
    wrong(ledger.credited <= deposited, `credited ${ledger.credited}, deposited ${deposited}`)
    const backed = ledger.credited - ledger.out
    wrong(ledger.owed <= backed, `is owed ${ledger.owed} of ${ledger.credited} credited less ${ledger.out} taken`)
    if (deposited > ledger.credited) surplus += deposited - ledger.credited
  }
  const { held, funded } = await ports.pool(block)
  const due = [...spent.values()].reduce((a, b) => a + b, 0n) - funded
  if (due > held) deficits.push({ client: 'the pool', why: `holds ${held}, ${due} are still to be drawn` })
  if (deficits.length > 0) throw new EscrowDeficit(deficits, block)
  return { block, clients: addresses.length, surplus }
}

const spentLeaves = (balances: Uint8Array): Map<string, bigint> => {
  const leaves = new Map<string, bigint>()
  for (let i = 0; i < balances.length / LEAF_BYTES; i++) {
    const { kind, address, amount } = unpackLeaf(balances, i)
    if (kind === SPENT) leaves.set(address, amount)
  }
  return leaves
}
