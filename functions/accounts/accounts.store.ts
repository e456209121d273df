import * as z from 'zod'
import { keys, listing } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { Account, ApiKey } from '#schema/accounts'
import { OpenLedgerError } from '#schema/errors'

const AddressLink = z.object({ accountId: z.string(), address: z.string() })

/** Accounts, their API keys and payout addresses. An account comes into being with its first record. */
export class AccountBook {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  async find(id: string): Promise<Account | undefined> {
    return this.#records.find(Account, keys.account(id))
  }

  /** The account of a person, made on the first visit; two first visits at once make one. */
  async ensure(id: string, name: string, createdAt: string): Promise<Account> {
    const found = await this.find(id)
    if (found) return found
    const account = { id, name, createdAt }
    try {
      await this.#records.create(keys.account(id), account, { partition: listing.accounts, sort: id })
      return account
    } catch (error) {
      if (!(error instanceof OpenLedgerError) || error.code !== 'already-exists') throw error
      return this.#records.get(Account, keys.account(id), 'account')
    }
  }

  /** A changed address counts for later lines only: what is in the tree stays with the old one. */
  async update(id: string, changes: { name?: string | undefined; address?: string | undefined }): Promise<Account> {
    const set = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
    if (Object.keys(set).length === 0) return this.#records.get(Account, keys.account(id), 'account')
    const account = await this.#records.change(Account, keys.account(id), set)
    if (changes.address)
      await this.#records.put(keys.address(changes.address, id), { accountId: id, address: changes.address })
    return account
  }

  async accountsAt(address: string): Promise<string[]> {
    const links = await this.#records.list(AddressLink, keys.address(address, '').PK, 'ACCOUNT#')
    return links.items.map((link) => link.accountId)
  }

  async addKey(key: ApiKey, hash: string): Promise<void> {
    await this.#records.create(keys.apiKey(hash), key)
    await this.#records.create(keys.accountKey(key.accountId, key.id), { ...key, hash })
  }
  async findKey(hash: string): Promise<ApiKey | undefined> {
    return this.#records.find(ApiKey, keys.apiKey(hash))
  }
  async keysOf(accountId: string): Promise<ApiKey[]> {
    const { items } = await this.#records.list(ApiKey.extend({ hash: z.string() }), keys.account(accountId).PK, 'KEY#')
    return items.map(({ hash: _hash, ...key }) => key)
  }
  async revokeKey(accountId: string, keyId: string): Promise<ApiKey> {
    const listed = await this.#records.get(
      ApiKey.extend({ hash: z.string() }),
      keys.accountKey(accountId, keyId),
      'API key',
    )
    // The record that the authorizer reads goes first: a crash between the two leaves the key closed.
    const key = await this.#records.change(ApiKey, keys.apiKey(listed.hash), { revoked: true })
    await this.#records.change(ApiKey.extend({ hash: z.string() }), keys.accountKey(accountId, keyId), {
      revoked: true,
    })
    return key
  }
}
