import * as z from 'zod'
import { accountAt } from '#registry/backing.store'
import { keys, listing } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { Account, ApiKey } from '#schema/accounts'
import { OpenLedgerError } from '#schema/errors'

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

  async rename(id: string, name: string): Promise<Account> {
    return this.#records.change(Account, keys.account(id), { name })
  }

  /** Pays the account to a proved address from now on; what is in the tree stays with the old one. Throws `address-taken`. */
  async payTo(id: string, address: string): Promise<Account> {
    await this.#takeAddress(id, address)
    return this.#records.change(Account, keys.account(id), { address })
  }

  /** An address is one account's, for good: whoever deposits from it must know whose balance grows. */
  async #takeAddress(id: string, address: string): Promise<void> {
    try {
      await this.#records.create(keys.address(address), { accountId: id, address })
    } catch (error) {
      if (!(error instanceof OpenLedgerError) || error.code !== 'already-exists') throw error
      if ((await accountAt(this.#records, address)) !== id)
        throw new OpenLedgerError('address-taken', 'This address is another account’s: use a wallet of your own.', {
          param: 'address',
        })
    }
  }

  /**
   * `owner` declares that `payer` is on its side (attribution.md C, linked payers). Only the declarer loses by it, so
   * nobody is asked; it stays, so that nobody takes it back for one inference.
   */
  async linkPayer(owner: string, payer: string): Promise<{ owner: string; payer: string }> {
    await this.#records.put(keys.linkedPayer(payer, owner), { owner, payer })
    return { owner, payer }
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
