import { describe, expect, it } from 'vitest'
import {
  type AttributionPorts,
  attributeReceipts,
  attributeScored,
} from '../../../functions/attribution/attribute-receipts.ts'
import type { SearchedShard } from '../../../functions/attribution/evidence.ts'
import { buildIndex, openIndex } from '../../../functions/attribution/provenance/index.ts'
import { MAX_OUTPUTS, MAX_TOKENS, ScoringReply, scoringRequests } from '../../../functions/attribution/scoring.ts'
import {
  type FailurePorts,
  failureOf,
  retryAfter,
  takeFailure,
} from '../../../functions/attribution/scoring-failures.ts'
import type { Attribution, Billing, Scoring, Transcript } from '../../../functions/schema/receipt.ts'
import { account, adapter, makeReceipt, receiptId } from '../epoch/epoch-factory.ts'

const ROW = `row_${'a'.repeat(24)}`
const OUTLIER = `row_${'b'.repeat(24)}`
const DIGEST = 'd'.repeat(64)
const TEXT = 'the quick brown fox jumps over the lazy dog again and again'
const START = Date.parse('2026-01-01T00:00:00.000Z')
const HOUR = 3_600_000

const INDEX = openIndex(
  buildIndex([
    { id: ROW, text: TEXT },
    { id: OUTLIER, text: 'something else that nobody has ever said in an answer' },
  ]),
)
const shardOf = (datanetId: string): SearchedShard => ({
  key: 'shard',
  digest: 'f'.repeat(64),
  datanetId,
  contribution: 'part',
  spans: new Map([[`${TEXT}!`, INDEX.spans(Buffer.from(`${TEXT}!`), { minLength: 32, maxOwners: 8 })]]),
  rows: new Map([
    [ROW, { cluster: ROW, contributor: account('ann'), sequence: 1 }],
    [OUTLIER, { cluster: OUTLIER, contributor: account('bob'), sequence: 2 }],
  ]),
  versionEnd: 2,
})

/** The world behind the workers: receipts, what was asked, what was completed. */
class World implements AttributionPorts, FailurePorts {
  readonly billings = new Map<string, Billing>()
  readonly completed = new Map<string, Attribution[]>()
  readonly asked: string[][] = []
  storeOf: string | null = DIGEST
  clock = START
  giveUpMs = 24 * HOUR
  failing: 'ask' | 'complete' | undefined

  add(name: string, change: Partial<Billing> = {}): string {
    const { billing } = makeReceipt({ name })
    this.billings.set(billing.receiptId, {
      ...billing,
      attribution: 'full',
      createdAt: new Date(START).toISOString(),
      ...change,
    })
    return billing.receiptId
  }
  readonly failures: string[] = []
  async attribute(...ids: string[]): Promise<string[]> {
    return attributeReceipts(this, ids, (_, error) => this.failures.push((error as Error).message))
  }
  now = () => new Date(this.clock)
  billing = async (id: string) => ({ billing: this.billings.get(id)!, done: this.completed.has(id) })
  transcript = async (id: string): Promise<Transcript> => transcriptOf(id, this.billings.get(id)!.adapterId)
  search = async (versions: readonly { id: string }[]) => ({
    shards: [shardOf(versions[0]!.id)],
    missing: this.unreadable,
  })
  unreadable: string[] = []
  unigram = async () => Uint32Array.from({ length: 256 }, () => 4 << 16)
  storeDigest = async () => this.storeOf
  ask = async (_: string, __: string, transcripts: readonly Transcript[]) => {
    if (this.failing === 'ask') throw new Error('there is no endpoint')
    const ids = transcripts.map((transcript) => transcript.receiptId)
    this.asked.push(ids)
    const request = `scoring/failures/${this.asked.length}-error.out`
    this.requests.set(request, ids)
    for (const id of ids)
      this.scorings.set(id, {
        ...this.scorings.get(id),
        request,
        state: 'asked',
        attempts: (this.scorings.get(id)?.attempts ?? 0) + 1,
        at: this.now().toISOString(),
        nextAt: new Date(this.clock + 2 * HOUR).toISOString(),
      })
  }
  readonly requests = new Map<string, string[]>()
  readonly scorings = new Map<string, Scoring & { request: string }>()
  scoring = async (id: string) => this.scorings.get(id)
  receiptsOf = async (request: string) => {
    if (!this.requests.has(request)) throw new Error('not-found')
    return this.requests.get(request)!
  }
  /** As Scorings does it, which test/integration/ledger/scorings.test.ts holds against the table. */
  failed = async (request: string, id: string, failure: string, at: Date, nextAt: Date) => {
    const before = this.scorings.get(id)!
    if (before.request !== request) return false
    this.scorings.set(id, {
      ...before,
      state: 'failed',
      failure,
      at: at.toISOString(),
      nextAt: nextAt.toISOString(),
    })
    return true
  }
  readonly brought: { ids: readonly string[]; seconds: number }[] = []
  again = async (ids: readonly string[], seconds: number) => void this.brought.push({ ids, seconds })
  complete = async (id: string, attribution: Attribution) => {
    if (this.failing === 'complete') throw new Error('the process died')
    // As the ledger does it: the first attribution stands.
    if (!this.completed.has(id)) this.completed.set(id, [])
    this.completed.get(id)!.push(attribution)
  }
  of(id: string): Attribution {
    const found = this.completed.get(id) ?? []
    expect(found).toHaveLength(1)
    return found[0]!
  }
}

const transcriptOf = (id: string, adapterId: string, choices = 1): Transcript => ({
  receiptId: id,
  adapterId,
  salt: '',
  request: '',
  response: '',
  choices: Array.from({ length: choices }, () => ({
    promptText: 'Say it',
    promptTokens: [1],
    outputText: `${TEXT}!`,
    outputTokens: [...`${TEXT}!`].map((c) => ({ id: c.charCodeAt(0), bytes: 1 })),
  })),
})
const replyFor = (ids: readonly string[], change: object = {}) =>
  ScoringReply.parse({
    adapter: adapter('a'),
    store_digest: DIGEST,
    quarantined: [OUTLIER],
    scores: ids.map((id) => ({
      id: `${id}.0`,
      rows: [
        [ROW, 700],
        [OUTLIER, 300],
      ],
    })),
    ...change,
  })
const inA = { adapterId: adapter('a') }

describe('scoring over an asynchronous endpoint', () => {
  it('a receipt waits for its scores and is completed by them, once', async () => {
    const world = new World()
    const [one, two] = [world.add('1', inA), world.add('2', inA)]
    expect(await world.attribute(one, two)).toEqual([])
    expect(world.asked).toEqual([[one, two]])
    expect(world.completed.size).toBe(0)
    await attributeScored(world, replyFor([one, two]))
    await attributeScored(world, replyFor([one, two]))
    expect(await world.attribute(one)).toEqual([])
    expect(world.asked).toHaveLength(1)
    const { status, influence, pools } = world.of(one)
    expect(status).toBe('full')
    expect(influence.map(({ cluster, score, quarantined }) => [cluster, score, quarantined])).toEqual([
      [ROW, '700', undefined],
      [OUTLIER, '300', true],
    ])
    expect(BigInt(pools.influence)).toBeGreaterThan(0n)
    expect(world.of(two).shares.map(({ payee }) => payee)).toEqual([account('ann')])
  })

  it('a batch asks once an adapter; the adapter’s policy, not the caller, says who is asked for', async () => {
    const world = new World()
    const ids = [world.add('1', inA), world.add('2', { adapterId: adapter('b') }), world.add('3', inA)]
    const cheap = world.add('4', { ...inA, attribution: 'provenance' })
    expect(await world.attribute(...ids, cheap)).toEqual([])
    expect(world.asked).toEqual([[ids[0], ids[2]], [ids[1]]])
    expect(world.of(cheap)).toMatchObject({ status: 'provenance-only', influence: [] })
    expect(world.of(cheap).pools.influence).toBe('0')
  })

  it('a crash after the scores have come leaves the receipt pending; the event comes again and completes it once', async () => {
    const world = new World()
    const id = world.add('1', inA)
    await world.attribute(id)
    world.failing = 'complete'
    await expect(attributeScored(world, replyFor([id]))).rejects.toThrow('died')
    expect(world.completed.size).toBe(0)
    world.failing = undefined
    await attributeScored(world, replyFor([id]))
    expect(world.of(id).status).toBe('full')
  })

  it('a receipt that cannot be read or attributed comes again alone: the others of its batch are completed', async () => {
    for (const scored of [false, true]) {
      const world = new World()
      world.storeOf = scored ? DIGEST : null
      const [unread, unknown, good] = ['1', '2', '3'].map((name) => world.add(name, inA)) as [string, string, string]
      if (scored) await world.attribute(unread, unknown, good)
      world.transcript = async (id) => {
        if (id === unread) throw new Error('no transcript of this form')
        return transcriptOf(id, world.billings.get(id)!.adapterId)
      }
      world.billings.get(unknown)!.net = 'a lot'
      if (scored) await expect(attributeScored(world, replyFor([unread, unknown, good]))).rejects.toThrow('this form')
      else {
        expect(await world.attribute(unread, unknown, good)).toEqual([unread, unknown])
        expect(world.failures).toEqual(['no transcript of this form', expect.stringContaining('a lot')])
      }
      expect([...world.completed.keys()]).toEqual([good])
    }
  })

  it('an endpoint that cannot be asked leaves the receipt pending, and the queue brings it again', async () => {
    const world = new World()
    const id = world.add('1', inA)
    world.failing = 'ask'
    expect(await world.attribute(id)).toEqual([id])
    expect(world.failures).toEqual(['there is no endpoint'])
    expect(world.completed.size).toBe(0)
    world.failing = undefined
    expect(await world.attribute(id)).toEqual([])
    expect(world.asked).toEqual([[id]])
  })

  it('an endpoint that stays away holds up nobody whose time to give up has come, or who needs no scores', async () => {
    const world = new World()
    const late = world.add('1', inA)
    world.clock = START + 25 * HOUR
    const young = world.add('2', { ...inA, createdAt: world.now().toISOString() })
    const cheap = world.add('3', { ...inA, attribution: 'provenance', createdAt: world.now().toISOString() })
    world.failing = 'ask'
    await world.attribute(late, young, cheap)
    expect([...world.completed.keys()].sort()).toEqual([late, cheap].sort())
    world.failing = undefined
    expect(await world.attribute(late, young, cheap)).toEqual([])
    expect(world.asked).toEqual([[young]])
  })

  it('what was asked is not asked again before its answer is due', async () => {
    const world = new World()
    const [one, two] = [world.add('1', inA), world.add('2', inA)]
    await world.attribute(one)
    await world.attribute(one, two)
    expect(world.asked).toEqual([[one], [two]])
    world.clock += 2 * HOUR
    await world.attribute(one)
    expect(world.asked.at(-1)).toEqual([one])
    expect(world.completed.size).toBe(0)
  })

  it('a failed request is noted on its receipts, which are asked for again, later each time, and paid by no guess', async () => {
    const world = new World()
    const [one, two] = [world.add('1', inA), world.add('2', inA)]
    await world.attribute(one, two)
    const why = 'Received server error (500) from all with message "{"error":{"code":"influence.store_mismatch"}}"'
    const failure = 'influence.store_mismatch'
    expect(await takeFailure(world, 'scoring/failures/1-error.out', why)).toEqual({ failure, receiptIds: [one, two] })
    expect(await world.scoring(one)).toMatchObject({ state: 'failed', attempts: 1, failure })
    expect(world.brought).toEqual([{ ids: [one, two], seconds: 30 }])
    expect(world.completed.size).toBe(0)
    await world.attribute(one)
    expect(world.asked).toHaveLength(1)
    world.clock += 30_000
    await world.attribute(one, two)
    expect(world.asked).toEqual([
      [one, two],
      [one, two],
    ])
    // The first request's failure told once more: a newer one is on its way.
    expect(await takeFailure(world, 'scoring/failures/1-error.out', why)).toEqual({ failure, receiptIds: [] })
    expect(await world.scoring(one)).toMatchObject({ state: 'asked', attempts: 2 })
    await takeFailure(world, 'scoring/failures/2-error.out', 'The request expired in the queue.')
    expect(world.brought.at(-1)).toEqual({ ids: [one, two], seconds: 120 })
    await attributeScored(world, replyFor([one])) // an answer that was late, of the first request
    expect(world.of(one).status).toBe('full')
    world.clock = START + 25 * HOUR
    await world.attribute(two)
    expect(world.of(two)).toMatchObject({
      status: 'incomplete',
      missing: ['influence: no scores within 24 hours (expired)'],
    })
    expect(world.of(two).pools.influence).toBe('0')
  })

  it('a failure that comes before its request is noted comes again', async () => {
    await expect(takeFailure(new World(), 'scoring/failures/9-error.out', '')).rejects.toThrow('not-found')
  })

  it('waits at most an hour; beyond SQS’s longest delay the schedule brings the receipt', async () => {
    expect([1, 2, 3, 4, 5, 30].map(retryAfter)).toEqual([30, 120, 480, 1920, 3600, 3600])
    const world = new World()
    const id = world.add('1', inA)
    for (let attempt = 1; attempt <= 4; attempt++) {
      await world.attribute(id)
      await takeFailure(world, `scoring/failures/${attempt}-error.out`, 'x')
      world.clock += retryAfter(attempt) * 1000
    }
    expect(world.brought.map(({ seconds }) => seconds)).toEqual([30, 120, 480])
  })

  it.each([
    [
      'Received client error (409) from all with message "{"error":{"code":"influence.store_mismatch"',
      'influence.store_mismatch',
    ],
    ['Request expired in the queue', 'expired'],
    ['Model container ran out of memory', 'endpoint-failed'],
    ['', 'endpoint-failed'],
  ])('%j is told as %s', (text, failure) => expect(failureOf(text)).toBe(failure))

  it('after the time to give up it is completed as incomplete: nobody is paid by a guess', async () => {
    const world = new World()
    const id = world.add('1', inA)
    world.clock = START + 24 * HOUR
    await world.attribute(id)
    expect(world.completed.size).toBe(0)
    world.clock += 1
    await world.attribute(id)
    expect(world.asked).toHaveLength(1)
    const { status, missing, influence, pools } = world.of(id)
    expect({ status, missing, influence }).toEqual({
      status: 'incomplete',
      missing: ['influence: no scores within 24 hours'],
      influence: [],
    })
    expect(pools.influence).toBe('0')
    await attributeScored(world, replyFor([id])) // what comes too late changes nothing
    expect(world.of(id).status).toBe('incomplete')
  })

  it.each([
    [
      'scores of a store that is not the adapter’s',
      { store_digest: 'e'.repeat(64) },
      'the influence store is not the one of this adapter',
    ],
    [
      'an output that the image refused',
      { scores: [{ id: `${receiptId('1')}.0`, error: { code: 'influence.output_invalid' } }] },
      'influence.output_invalid',
    ],
  ])('%s pay nothing and say so', async (_, change, why) => {
    const world = new World()
    const id = world.add('1', inA)
    await world.attribute(id)
    await attributeScored(world, replyFor([id], change))
    const { status, missing, influence, pools } = world.of(id)
    expect({ status, missing, influence }).toEqual({
      status: 'incomplete',
      missing: [`influence: ${why}`],
      influence: [],
    })
    expect(pools.influence).toBe('0')
  })

  it('a choice of which nothing was said takes nothing from the others', async () => {
    const world = new World()
    const id = world.add('1', inA)
    const whole = transcriptOf(id, adapter('a'), 3)
    whole.choices[1] = { ...whole.choices[1]!, outputText: '', outputTokens: [] }
    world.transcript = async () => whole
    const [request] = scoringRequests(adapter('a'), [whole])
    const outputs = JSON.parse(request!.body).outputs as { id: string }[]
    expect(outputs.map((output) => output.id)).toEqual([`${id}.0`, `${id}.2`])
    await world.attribute(id)
    const scores = outputs.map((output) => ({ id: output.id, rows: [[ROW, 700]] }))
    await attributeScored(world, replyFor([], { scores }))
    expect(world.of(id)).toMatchObject({ status: 'full', missing: [] })
    expect(world.of(id).influence.map(({ score }) => score)).toEqual(['1400'])
  })

  it('a token that the tokenizer does not have (a padded vocabulary, reached by logit_bias) carries nothing', async () => {
    const world = new World()
    const id = world.add('1', { ...inA, attribution: 'provenance' })
    const whole = transcriptOf(id, adapter('a'))
    whole.choices[0]!.outputTokens.push({ id: 999_999, bytes: 0 })
    world.transcript = async () => whole
    expect(await world.attribute(id)).toEqual([])
    const { status, totalBits, provenance } = world.of(id)
    expect({ status, totalBits }).toEqual({
      status: 'provenance-only',
      totalBits: String((TEXT.length + 1) * (4 << 16)),
    })
    expect(provenance.map(({ bits }) => bits)).toEqual([String(TEXT.length * (4 << 16))])
  })

  it('scores of rows in a shard that cannot be read are not paid to the other rows', async () => {
    const hidden = `row_${'c'.repeat(24)}`
    const scores = (id: string, ...rows: [string, number][]) => replyFor([id], { scores: [{ id: `${id}.0`, rows }] })
    for (const missing of [[], ['provenance shard s: not-found']]) {
      const world = new World()
      world.unreadable = missing
      const [some, none] = [world.add('1', inA), world.add('2', inA)]
      await attributeScored(world, scores(some, [ROW, 300], [hidden, 700]))
      await attributeScored(world, scores(none, [ROW, 300]))
      // A row that was taken back is none; one that nobody can look up may be anybody's.
      expect(world.of(some).influence).toHaveLength(missing.length === 0 ? 1 : 0)
      expect(world.of(some).pools.influence === '0').toBe(missing.length > 0)
      expect(world.of(none).influence).toHaveLength(1)
      expect(world.of(some).missing).toEqual(
        missing.length === 0 ? [] : [...missing, 'influence: rows of what is missing'],
      )
    }
  })

  it('an answer cannot complete receipts of another adapter', async () => {
    const world = new World()
    const id = world.add('1', { adapterId: adapter('b') })
    await attributeScored(world, replyFor([id]))
    expect(world.completed.size).toBe(0)
  })

  it('an adapter without a store is provenance only, and nothing is asked', async () => {
    const world = new World()
    world.storeOf = null
    const id = world.add('1', inA)
    await world.attribute(id)
    expect(world.asked).toEqual([])
    expect(world.of(id).status).toBe('provenance-only')
  })

  it('requests hold at most what the image takes, keep a receipt together, and are the same for the same receipts', () => {
    const transcripts = Array.from({ length: 200 }, (_, i) => transcriptOf(receiptId(i), adapter('a'), 3))
    const requests = scoringRequests(adapter('a'), transcripts)
    const outputs = requests.map(({ body }) => JSON.parse(body).outputs as { id: string }[])
    expect(outputs.flat()).toHaveLength(600)
    for (const batch of outputs) {
      expect(batch.length).toBeLessThanOrEqual(MAX_OUTPUTS)
      expect(batch.length % 3).toBe(0)
    }
    expect(scoringRequests(adapter('a'), [...transcripts].reverse())).toEqual(requests)
    const long = transcripts.slice(0, 3).map((transcript) => ({
      ...transcript,
      choices: [{ ...transcript.choices[0]!, promptTokens: Array(MAX_TOKENS / 2 + 1).fill(7) }],
    }))
    expect(scoringRequests(adapter('a'), long)).toHaveLength(3)
    expect(scoringRequests(adapter('b'), transcripts)[0]!.id).not.toBe(requests[0]!.id)
  })
})
