import { BALANCE_SHARDS, ledgerKeys } from './keys.ts'

/** Writes that spread an amount over the shards of a balance, making those that are not there; the first takes the rest. */
export const addToShards = (table: string, accountId: string, amount: bigint) => {
  const part = amount / BigInt(BALANCE_SHARDS)
  return Array.from({ length: BALANCE_SHARDS }, (_, shard) => ({
    Update: {
      TableName: table,
      Key: ledgerKeys.balance(accountId, shard),
      UpdateExpression:
        'SET available = if_not_exists(available, :zero) + :value, #seq = if_not_exists(#seq, :zero), spent = if_not_exists(spent, :zero), holds = if_not_exists(holds, :none)',
      ExpressionAttributeNames: { '#seq': 'sequence' },
      ExpressionAttributeValues: {
        ':value': shard === 0 ? amount - part * BigInt(BALANCE_SHARDS - 1) : part,
        ':zero': 0n,
        ':none': {},
      },
    },
  }))
}
