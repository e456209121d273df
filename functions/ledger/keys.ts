/** Keys of the ledger table. Counters that everybody writes are sharded: a hot item would cancel transactions. */
export const BALANCE_SHARDS = 8
export const COUNTER_SHARDS = 8

const hash = (text: string): number => {
  let h = 2166136261
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619) >>> 0
  return h
}
/** FNV-1a: spreads ids over shards, nothing depends on its strength. */
export const shardOf = (id: string, shards: number): number => hash(id) % shards

export const ledgerKeys = {
  balance: (accountId: string, shard: number) => ({ PK: `BALANCE#${accountId}`, SK: `SHARD#${shard}` }),
  credit: (reference: string) => ({ PK: `CREDIT#${reference}`, SK: 'META' }),
  /** An escrow client: what its deposits credited and what left again. */
  client: (address: string) => ({ PK: `CLIENT#${address}`, SK: 'META' }),
  leaving: (address: string) => ({ PK: 'CLIENT#LEAVING', SK: address }),
  budget: (keyId: string) => ({ PK: `BUDGET#${keyId}`, SK: 'SPENT' }),
  minute: (keyId: string, minute: number) => ({ PK: `BUDGET#${keyId}`, SK: `MINUTE#${minute}` }),
  attempt: (receiptId: string) => ({ PK: `ATTEMPT#${receiptId}`, SK: 'META' }),
  receipt: (receiptId: string) => ({ PK: `RECEIPT#${receiptId}`, SK: 'META' }),
  /** How the scoring of a pending receipt stands. */
  scoring: (receiptId: string) => ({ PK: `RECEIPT#${receiptId}`, SK: 'SCORING' }),
  /** Which receipts a scoring request asked for, by the object that would say that it failed. */
  scoringRequest: (failureKey: string) => ({ PK: `SCORING#${failureKey}`, SK: 'META' }),
  epoch: (n: number) => ({ PK: `EPOCH#${String(n).padStart(10, '0')}`, SK: 'META' }),
  epochCount: (n: number, shard: number) => ({ PK: `EPOCH#${String(n).padStart(10, '0')}`, SK: `COUNT#${shard}` }),
  currentEpoch: { PK: 'EPOCH#CURRENT', SK: 'META' },
}

/** Partitions of the sparse PENDING index: what still waits for somebody. */
export const pending = {
  holds: (accountId: string) => `HOLDS#${shardOf(accountId, COUNTER_SHARDS)}`,
  attribution: (receiptId: string) => `ATTRIBUTION#${shardOf(receiptId, COUNTER_SHARDS)}`,
}
