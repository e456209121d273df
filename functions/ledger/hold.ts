/** Money set aside for one request: worst case, in one shard of the balance, until it is settled, released or swept. */
export interface Hold {
  receiptId: string
  accountId: string
  shard: number
  amount: bigint
  key?: { id: string; budget?: bigint; ratePerMinute?: number } | undefined
}
