import { expect, it } from 'vitest'
import { AccountBook } from '../../../functions/accounts/accounts.store.ts'
import { Models } from '../../../functions/open-lora/models.store.ts'
import type { Key } from '../../../functions/registry/keys.ts'

/** A registry of records in memory, a page of one at a time. */
const registry = () => {
  const items = new Map<string, Key & Record<string, unknown>>()
  return {
    put: async (key: Key, record: object) => void items.set(`${key.PK} ${key.SK}`, { ...record, ...key }),
    find: async (_: unknown, key: Key) => items.get(`${key.PK} ${key.SK}`),
    list: async (_: unknown, PK: string, prefix: string, page: { cursor?: string } = {}) => {
      const found = [...items.values()].filter((item) => item.PK === PK && item.SK.startsWith(prefix))
      const at = Number(page.cursor ?? 0)
      return { items: found.slice(at, at + 1), cursor: at + 1 < found.length ? String(at + 1) : null }
    },
  }
}

it('who declares a payer to be its own is excluded when that one pays, and nobody else is', async () => {
  const records = registry() as never
  const accounts = new AccountBook(records)
  const models = new Models(records)
  await accounts.linkPayer('acc_owner', 'acc_wallet')
  await accounts.linkPayer('acc_second', 'acc_wallet')
  await accounts.linkPayer('acc_owner', 'acc_wallet')
  expect(await models.linkedTo('acc_wallet')).toEqual(['acc_owner', 'acc_second', 'acc_wallet'])
  // The declared one is not excluded from what the declarer pays: a link harms nobody but the one that made it.
  expect(await models.linkedTo('acc_owner')).toEqual(['acc_owner'])
  expect(await models.linkedTo('acc_stranger')).toEqual(['acc_stranger'])
})
