import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ModelBook } from '../../../functions/model-factory/model-book.store.ts'
import { keys } from '../../../functions/registry/keys.ts'
import { Records } from '../../../functions/registry/records.store.ts'
import { type Adapter, AdapterNameRecord, type PromoteName } from '../../../functions/schema/models.ts'
import { account, makeReceipt } from '../../unit/epoch/epoch-factory.ts'
import { type LedgerBed, ledgerBed } from '../ledger/ledger-bed.ts'

/** Names under writers that look at the same moment, on the embedded DynamoDB. */
let bed: LedgerBed
let documents: DynamoDBDocumentClient
let table: string
const OWNER = account('builder')
const id = (letter: string) => letter.repeat(32)

/** Everybody reads the name before anybody writes it. */
class Together extends Records {
  waiting: (() => void)[] = []
  readonly #names: number
  constructor(table: string, client: DynamoDBDocumentClient, names: number) {
    super(table, client)
    this.#names = names
  }
  override async find(...args: Parameters<Records['find']>): Promise<never> {
    const found = await super.find(...args)
    if (args[1].PK.startsWith('NAME#') && this.waiting.length < this.#names)
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve)
        if (this.waiting.length === this.#names) for (const go of this.waiting) go()
      })
    return found as never
  }
}

const adapter = (letter: string, name: string): Adapter => {
  const { billing } = makeReceipt({ name: 1 })
  return {
    id: id(letter),
    name,
    trainingId: `trn_${'1'.repeat(24)}`,
    owner: OWNER,
    payee: OWNER,
    baseId: 'tiny',
    rank: 8,
    maxTokens: 64,
    price: billing.price,
    split: billing.split,
    datanets: [],
    createdAt: '2026-11-24T00:00:00.000Z',
  } as unknown as Adapter
}
const plain = () => new Records(table, documents)
const named = (name: string) => plain().get(AdapterNameRecord, keys.name(name), 'name')

beforeAll(async () => {
  bed = await ledgerBed()
  documents = DynamoDBDocumentClient.from(bed.raw, { marshallOptions: { removeUndefinedValues: true } })
  table = await bed.table('Registry')
})
afterAll(() => bed?.stop())

/** An adapter's record as far as `point` looks at it. */
class Book extends ModelBook {
  override adapter = async (adapterId: string) => ({ id: adapterId, owner: OWNER }) as Adapter
}

test('of two who change a name at once one is told to look again, and nobody is lost', async () => {
  const name = 'shop/two'
  await new Book(plain()).register(adapter('a', name))
  const book = new Book(new Together(table, documents, 2))
  const done = await Promise.allSettled([
    book.point(name, OWNER, { adapterId: id('a'), canary: { adapterId: id('b'), shareBps: 500 } }),
    book.point(name, OWNER, { adapterId: id('c') }),
  ])
  expect(done.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(done.find(({ status }) => status === 'rejected')).toMatchObject({
    reason: { code: 'stale-version', status: 409 },
  })
})

test('whoever was told that it is done stands in the history, and the last of them is what the name says', async () => {
  let run = 0
  const wish = fc.record({ at: fc.constantFrom(...'0ab'), canary: fc.option(fc.constantFrom(...'BCD')) })
  await fc.assert(
    fc.asyncProperty(fc.array(wish, { minLength: 2, maxLength: 5 }), async (wishes) => {
      const name = `shop/run-${run++}`
      await new Book(plain()).register(adapter('0', name))
      const book = new Book(new Together(table, documents, wishes.length))
      const asked = wishes.map(
        ({ at, canary }): PromoteName => ({
          adapterId: id(at),
          ...(canary
            ? { canary: { adapterId: id(canary.toLowerCase() === at ? '9' : canary.toLowerCase()), shareBps: 500 } }
            : {}),
        }),
      )
      const done = await Promise.allSettled(asked.map((one) => book.point(name, OWNER, one)))
      const kept = asked.filter((_, i) => done[i]!.status === 'fulfilled')
      const record = await named(name)
      expect(kept.length).toBeGreaterThan(0)
      for (const { adapterId, canary } of kept)
        for (const one of [adapterId, ...(canary ? [canary.adapterId] : [])]) expect(record.history).toContain(one)
      expect(kept.map(({ adapterId, canary }) => [adapterId, canary])).toContainEqual([record.adapterId, record.canary])
    }),
    { numRuns: 40 },
  )
})

test('two trainings of one new name that end together are both in its history', async () => {
  const name = 'shop/new'
  const book = new Book(new Together(table, documents, 2))
  await Promise.all(['a', 'b'].map((letter) => book.register(adapter(letter, name))))
  expect((await named(name)).history.toSorted()).toEqual([id('a'), id('b')])
  await book.register(adapter((await named(name)).adapterId[0]!, name)) // again: nothing changes
  expect((await named(name)).history).toHaveLength(2)
  const stranger = { ...adapter('d', name), owner: account('stranger') }
  await expect(book.register(stranger)).rejects.toMatchObject({ code: 'forbidden' })
})
