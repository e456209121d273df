import { describe, expect, test } from 'vitest'
import { type CursorScope, cursorOf, startKeyOf } from '#schema/cursor'
import { ExpiredHolds } from '../../../functions/ledger/expired-holds.store.ts'
import { Receipts } from '../../../functions/ledger/receipts.store.ts'

describe('a cursor', () => {
  const scope: CursorScope = { partition: { name: 'GSI1PK', value: 'MINE' }, sort: { name: 'GSI1SK', prefix: 'A#' } }
  const key = { PK: 'p', SK: 's', GSI1PK: 'MINE', GSI1SK: 'A#1' }

  test('comes back as the key that it was made of', () => {
    expect(startKeyOf(cursorOf(key)!, scope)).toEqual(key)
    expect(cursorOf(undefined)).toBeNull()
  })

  test.each([
    ['no base64 of JSON', 'garbage'],
    ['null', cursorOf(null as never) ?? Buffer.from('null').toString('base64url')],
    ['a list', Buffer.from('[]').toString('base64url')],
    ['another partition', cursorOf({ ...key, GSI1PK: 'YOURS' })!],
    ['a place beyond the prefix', cursorOf({ ...key, GSI1SK: 'B#1' })!],
    ['an attribute more', cursorOf({ ...key, extra: 'x' })!],
    ['an attribute less', cursorOf({ PK: 'p', SK: 's', GSI1PK: 'MINE' })!],
    ['a number', cursorOf({ ...key, SK: 7 })!],
    ['an empty key', cursorOf({ ...key, PK: '' })!],
  ])('%s is refused as cursor', (_, cursor) => {
    expect(() => startKeyOf(cursor, scope)).toThrow(
      expect.objectContaining({ code: 'invalid-request', param: 'cursor', status: 400 }),
    )
  })
})

/** DynamoDB that answers two pages. */
const pages = (first: object, second: object) => {
  const asked: unknown[] = []
  const client = {
    send: async ({ input }: { input: { ExclusiveStartKey?: unknown } }) => {
      asked.push(input.ExclusiveStartKey)
      return asked.length === 1 ? { Items: [first], LastEvaluatedKey: { PK: 'next' } } : { Items: [second] }
    },
  }
  return { asked, client: client as never }
}

test('holds and pending receipts are read over all pages', async () => {
  const holds = pages({ PK: 'BALANCE#acc_1', SK: 'SHARD#0' }, { PK: 'BALANCE#acc_2', SK: 'SHARD#3' })
  expect(await new ExpiredHolds('t', holds.client).waiting(0)).toEqual([
    { accountId: 'acc_1', shard: 0 },
    { accountId: 'acc_2', shard: 3 },
  ])
  expect(holds.asked).toEqual([undefined, { PK: 'next' }])
  const receipts = pages({ PK: 'RECEIPT#rcp_1' }, { PK: 'RECEIPT#rcp_2' })
  expect(await new Receipts('t', receipts.client).pendingSince(0, 'now')).toEqual(['rcp_1', 'rcp_2'])
})
