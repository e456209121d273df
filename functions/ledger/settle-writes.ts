import type { Billing } from '#schema/receipt'
import type { Hold } from './hold.ts'
import { ledgerKeys, pending } from './keys.ts'

/**
 * The two writes of a settle: the hold becomes the fee and the shard's sequence grows by one; the receipt waits for
 * attribution (the outbox).
 */
export const settleWrites = (
  table: string,
  hold: Hold,
  { held, sequence, billing }: { held: bigint; sequence: bigint; billing: Billing },
) => {
  const fee = BigInt(billing.fee)
  return [
    {
      Update: {
        TableName: table,
        Key: ledgerKeys.balance(hold.accountId, hold.shard),
        UpdateExpression: 'SET available = available + :refund, spent = spent + :fee, #seq = :next REMOVE holds.#r',
        ConditionExpression: 'attribute_exists(holds.#r) AND #seq = :seq',
        ExpressionAttributeNames: { '#r': hold.receiptId, '#seq': 'sequence' },
        ExpressionAttributeValues: { ':refund': held - fee, ':fee': fee, ':seq': sequence, ':next': sequence + 1n },
      },
    },
    {
      Put: {
        TableName: table,
        Item: {
          ...ledgerKeys.receipt(hold.receiptId),
          state: 'pending',
          billing: JSON.stringify(billing),
          fee,
          GSI1PK: `RECEIPTS#${hold.accountId}`,
          GSI1SK: `${billing.createdAt}#${hold.receiptId}`,
          PENDINGPK: pending.attribution(hold.receiptId),
          PENDINGSK: billing.createdAt,
        },
        ConditionExpression: 'attribute_not_exists(PK)',
      },
    },
  ]
}
