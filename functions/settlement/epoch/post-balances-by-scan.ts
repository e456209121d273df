import type { Accounts, Posted } from './closing.ts'
import type { EpochInputs } from './inputs.ts'
import { EpochRefused } from './refusal.ts'

const LIMIT = 2n ** 128n

/**
 * The second way to post (see `post-balances.ts`, with which it shares no code): one pass over the old leaves in hex,
 * taking from a table of changes what belongs to each; what is left in the table is new.
 */
export const postByScan = (previous: Uint8Array, inputs: EpochInputs, { lines, charges }: Accounts): Posted => {
  const addressOf = Object.fromEntries(inputs.accounts.map(({ accountId, address }) => [accountId, address?.slice(2)]))
  const backer = inputs.operator ? addressOf[inputs.operator] : undefined
  const earnings = [
    ...inputs.previous.unassigned.map(({ payee, amount }) => [payee, BigInt(amount)] as const),
    ...lines.map(({ payee, amount }) => [payee, amount] as const),
  ]
  const spendings = [
    ...inputs.previous.unassignedSpent.map(({ client, amount }) => [client, BigInt(amount)] as const),
    ...charges.map(({ client, fees, refunds }) => [client, fees - refunds] as const),
  ]
  const earnedKey = (payee: string) => addressOf[payee] && `01${addressOf[payee]}`
  const spenders = Object.fromEntries(
    inputs.accounts.map(({ accountId, address = null, client = address }) => [accountId, client?.slice(2)]),
  )
  const spentKey = (account: string) => {
    const leaf = spenders[account] ?? backer
    return leaf && `02${leaf}`
  }

  const changes = new Map<string, bigint>()
  for (const [key, own] of [
    ...Map.groupBy(earnings, ([payee]) => earnedKey(payee)),
    ...Map.groupBy(spendings, ([client]) => spentKey(client)),
  ]) {
    const sum = own.reduce((total, [, amount]) => total + amount, 0n)
    if (key && sum > 0n) changes.set(key, sum)
  }
  const rise = [...changes].reduce((total, [key, amount]) => (key.startsWith('01') ? total + amount : total), 0n)

  const old = Buffer.from(previous.buffer, previous.byteOffset, previous.length)
  const parts: Buffer[] = []
  const touched: number[] = []
  const encode = (key: string, amount: bigint) => {
    if (amount >= LIMIT) throw new EpochRefused('overflow', `cumulative amount of 0x${key.slice(2)} exceeds 2^128 - 1`)
    return Buffer.from(key + amount.toString(16).padStart(32, '0'), 'hex')
  }
  let position = 0
  for (let at = 0; at < old.length; at += 37, position++) {
    const key = old.toString('hex', at, at + 21)
    const change = changes.get(key)
    if (change === undefined) continue
    changes.delete(key)
    touched.push(position)
    parts.push(encode(key, BigInt(`0x${old.toString('hex', at + 21, at + 37)}`) + change))
  }
  const packed = Buffer.alloc(old.length + changes.size * 37)
  old.copy(packed)
  touched.forEach((leaf, i) => {
    parts[i]!.copy(packed, leaf * 37)
  })
  for (const key of [...changes.keys()].sort()) {
    encode(key, changes.get(key)!).copy(packed, position * 37)
    touched.push(position++)
  }
  if (position > 2 ** inputs.treeDepth) throw new EpochRefused('overflow', `${position} leaves do not fit the tree`)
  const total = BigInt(inputs.previous.total) + rise
  if (total >= LIMIT) throw new EpochRefused('overflow', 'cumulative amount of the total exceeds 2^128 - 1')
  return {
    packed,
    unassigned: waiting(earnings, earnedKey).map(([payee, amount]) => ({ payee, amount })),
    unassignedSpent: waiting(spendings, spentKey).map(([client, amount]) => ({ client, amount })),
    total,
    rise,
    touched,
  }
}

const waiting = (entries: (readonly [string, bigint])[], keyOf: (account: string) => string | undefined) =>
  [
    ...Map.groupBy(
      entries.filter(([account]) => !keyOf(account)),
      ([account]) => account,
    ),
  ]
    .map(([account, own]) => [account, own.reduce((total, [, amount]) => total + amount, 0n)] as const)
    .filter(([, amount]) => amount !== 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1))
