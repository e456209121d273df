import { type Accounts, byText, type Posted } from './closing.ts'
import type { EpochInputs } from './inputs.ts'
import { EARNED, LEAF_BYTES, MAX_AMOUNT, packLeaf, readAmount, SPENT, writeAmount } from './leaf.ts'
import { LeafIndex } from './leaf-index.ts'
import { EpochRefused } from './refusal.ts'

/**
 * Adds an epoch's lines and charges to the cumulative balances (settlement.md 1). One leaf a (kind, address), never
 * moved, never lowered; new ones are appended in order of kind, then address. A payee without an address accrues as
 * unassigned, outside the claimable total, and is posted whole in the first epoch that finds one. What was posted to
 * an earlier address stays there. Spending goes to
 * the leaf of the escrow client that deposited; where the operator backed the credit, to the operator's.
 * `previous` is `balances.bin` of the epoch before; it is not changed.
 */
export const postBalances = (previous: Uint8Array, inputs: EpochInputs, { lines, charges }: Accounts): Posted => {
  const addresses = new Map(inputs.accounts.map(({ accountId, address }) => [accountId, address]))
  const unassigned = new Map(inputs.previous.unassigned.map(({ payee, amount }) => [payee, BigInt(amount)]))
  const unassignedSpent = new Map(inputs.previous.unassignedSpent.map(({ client, amount }) => [client, BigInt(amount)]))
  for (const { payee, amount } of lines) unassigned.set(payee, (unassigned.get(payee) ?? 0n) + amount)
  for (const { client, fees, refunds } of charges)
    unassignedSpent.set(client, (unassignedSpent.get(client) ?? 0n) + fees - refunds)

  const operator = inputs.operator === null ? undefined : addresses.get(inputs.operator)
  const earned = takeAddressed(unassigned, (payee) => addresses.get(payee))
  const clients = new Map(inputs.accounts.map((entry) => [entry.accountId, entry.client]))
  const spent = takeAddressed(unassignedSpent, (account) => {
    const client = clients.get(account)
    return client === null ? operator : (client ?? addresses.get(account) ?? operator)
  })
  const changes = [
    ...[...earned].map(([address, amount]) => ({ kind: EARNED as 1, address, amount })),
    ...[...spent].map(([address, amount]) => ({ kind: SPENT as 2, address, amount })),
  ].sort((a, b) => a.kind - b.kind || byText(a.address, b.address))

  const index = new LeafIndex(previous)
  const located = changes.map((leaf) => ({ ...leaf, position: index.find(packLeaf(bounded(leaf)).subarray(0, 21)) }))
  const added = located.filter(({ position }) => position < 0)
  const before = previous.length / LEAF_BYTES
  if (before + added.length > 2 ** inputs.treeDepth)
    throw new EpochRefused('overflow', `${before + added.length} leaves do not fit a tree of depth ${inputs.treeDepth}`)
  const packed = new Uint8Array(previous.length + added.length * LEAF_BYTES)
  packed.set(previous)
  let next = before
  const touched = located.map(({ position, ...leaf }) => {
    if (position < 0) {
      packLeaf(bounded(leaf), packed, next * LEAF_BYTES)
      return next++
    }
    const offset = position * LEAF_BYTES
    writeAmount(packed, offset, bounded({ ...leaf, amount: readAmount(packed, offset) + leaf.amount }).amount)
    return position
  })
  const rise = [...earned.values()].reduce((a, b) => a + b, 0n)
  const total = BigInt(inputs.previous.total) + rise
  bounded({ address: 'the total', amount: total })
  return {
    packed,
    unassigned: remaining(unassigned).map(([payee, amount]) => ({ payee, amount })),
    unassignedSpent: remaining(unassignedSpent).map(([client, amount]) => ({ client, amount })),
    total,
    rise,
    touched: touched.sort((a, b) => a - b),
  }
}

/** Moves every balance whose account has an address out of `balances`, summed by address. */
const takeAddressed = (balances: Map<string, bigint>, addressOf: (account: string) => string | undefined) => {
  const taken = new Map<string, bigint>()
  for (const [account, amount] of balances) {
    const address = addressOf(account)
    if (address === undefined) continue
    balances.delete(account)
    if (amount > 0n) taken.set(address, (taken.get(address) ?? 0n) + amount)
  }
  return taken
}

const remaining = (balances: Map<string, bigint>) =>
  [...balances].filter(([, amount]) => amount > 0n).sort((a, b) => byText(a[0], b[0]))

const bounded = <Holder extends { address: string; amount: bigint }>(holder: Holder): Holder => {
  if (holder.amount > MAX_AMOUNT)
    throw new EpochRefused('overflow', `cumulative amount of ${holder.address} exceeds 2^128 - 1`)
  return holder
}
