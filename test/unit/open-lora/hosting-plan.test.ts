import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { adapterFor } from '../../../functions/open-lora/canary.ts'
import { fleetOf } from '../../../functions/open-lora/fleet.ts'
import { HostingGate } from '../../../functions/open-lora/hosting-gate.store.ts'
import { type Endpoint, instanceSeconds, planSweep } from '../../../functions/open-lora/plan-sweep.ts'
import { PoolUsage } from '../../../functions/open-lora/pool-usage.ts'
import { bucketOf, endpointName, servingNames } from '../../../functions/open-lora/pools.ts'
import { removeAll } from '../../../functions/open-lora/remove-all.ts'
import { shardOrder } from '../../../functions/open-lora/routing.ts'
import { askInOrder } from '../../../functions/open-lora/serving.client.ts'
import { OpenLedgerError } from '../../../functions/schema/errors.ts'
import type { AdapterNameRecord } from '../../../functions/schema/models.ts'

const at = (minutes: number) => new Date(1_800_000_000_000 + minutes * 60_000)

describe('pools', () => {
  it('takes the smallest bucket that holds the rank', () => {
    expect([1, 8, 9, 16, 33, 129, 256].map(bucketOf)).toEqual([8, 8, 16, 16, 64, 256, 256])
  })
  it('names endpoints as SageMaker takes them, and never two bases alike', () => {
    const base = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,62}$/)
    fc.assert(
      fc.property(base, base, (a, b) => {
        const [one, two] = [a, b].map((id) => endpointName('a-stack-name-of-24-chars', id, 'r256-19'))
        expect(one).toMatch(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/)
        expect(one!.length).toBeLessThanOrEqual(63)
        if (a !== b) expect(one).not.toBe(two)
      }),
    )
    expect(endpointName('p', 'a.b', 'x')).not.toBe(endpointName('p', 'a-b', 'x'))
    expect(servingNames('p', 'base', 16, 2)).toEqual(['p-base-r16-0', 'p-base-r16-1'])
  })
})

describe('the janitor', () => {
  const endpoint = (name: string, status = 'InService', created = 0, instances = 1): Endpoint => ({
    name,
    status,
    createdAt: at(created),
    instances,
  })
  const sweep = (endpoints: Endpoint[], more: Partial<Parameters<typeof planSweep>[0]> = {}) =>
    planSweep({
      endpoints,
      pools: [{ endpoints: ['a', 'b'], usedAt: at(100).toISOString() }],
      kept: ['influence'],
      now: at(131),
      idleMinutes: 30,
      budgetSpent: false,
      overBudget: 'finish',
      ...more,
    })

  it('takes down what idles, what no pool names, and what failed, and nothing else', () => {
    expect(sweep([endpoint('a'), endpoint('b', 'Creating'), endpoint('influence'), endpoint('stray')])).toEqual([
      { name: 'a', why: 'idle' },
      { name: 'stray', why: 'orphan' },
    ])
    expect(sweep([endpoint('a', 'Failed'), endpoint('stray', 'Deleting'), endpoint('stray', 'InService', 80)])).toEqual(
      [{ name: 'a', why: 'failed' }],
    )
    expect(sweep([endpoint('a')], { now: at(130) })).toEqual([])
    expect(sweep([endpoint('a', 'InService', 105)])).toEqual([])
    expect(sweep([endpoint('a')], { idleMinutes: 0 })).toEqual([])
  })
  it('lets go sooner when the day’s hours are spent, but never of what is in use', () => {
    expect(sweep([endpoint('a')], { now: at(106), budgetSpent: true })).toEqual([{ name: 'a', why: 'idle' }])
    expect(sweep([endpoint('a')], { now: at(106), budgetSpent: true, idleMinutes: 0 })).toHaveLength(1)
    expect(sweep([endpoint('a')], { now: at(104), budgetSpent: true })).toEqual([])
  })
  it('stops what runs on over budget where the operator says so, and leaves influence to its receipts', () => {
    const running = [
      endpoint('a'),
      endpoint('b', 'Creating'),
      endpoint('influence'),
      endpoint('stray', 'Creating', 105),
    ]
    const over = { now: at(106), budgetSpent: true, overBudget: 'stop' as const, pools: [] as never[] }
    const inUse = [{ endpoints: ['a', 'b'], usedAt: at(106).toISOString() }]
    expect(sweep(running, { ...over, pools: inUse })).toEqual([
      { name: 'a', why: 'over-budget' },
      { name: 'b', why: 'over-budget' },
    ])
    expect(sweep(running, { ...over, pools: inUse, budgetSpent: false })).toEqual([])
    expect(sweep(running, { ...over, pools: inUse, overBudget: 'finish' })).toEqual([])
  })
  it('counts every second of every instance once, however often it looks', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 }), (steps) => {
        const running = [
          endpoint('a', 'InService', 7, 3),
          endpoint('b', 'Creating', 40),
          endpoint('c', 'Failed', 0),
          endpoint('asleep', 'InService', 0, 0),
        ]
        let time = 0
        let counted = 0
        for (const step of steps) {
          counted += instanceSeconds(running, at(time), at(time + step))
          time += step
        }
        expect(counted).toBe(60 * (3 * Math.max(0, time - 7) + Math.max(0, time - 40)))
      }),
    )
  })
  it('takes everything down, waits for what is not let go, and names what still runs in the end', async () => {
    let tries = 0
    const left = new Map([
      ['a', 'InService'],
      ['b', 'Creating'],
    ])
    const fleet = {
      list: async () => [...left].map(([name, status]) => endpoint(name, status)),
      remove: async (name: string) => {
        if (name === 'b' && ++tries < 3) throw new Error('still coming up')
        left.set(name, 'Deleting')
      },
    }
    await removeAll(
      fleet,
      () => true,
      async () => {},
    )
    expect([...left.values()]).toEqual(['Deleting', 'Deleting'])
    const stuck = { ...fleet, list: async () => [endpoint('c')], remove: () => Promise.reject(new Error('denied')) }
    await expect(
      removeAll(
        stuck,
        () => false,
        async () => {},
      ),
    ).rejects.toThrow('c: denied')
  })
})

describe('the fleet', () => {
  const world = (...names: string[]) => {
    const left = new Set(names)
    const done: string[] = []
    const hosting = {
      list: async () => [...left].map((name) => ({ name, status: 'InService', createdAt: at(0), instances: 1 })),
      remove: async (name: string) => {
        done.push(`endpoint ${name}`)
        left.delete(name)
      },
    }
    return { left, done, hosting, scaling: { remove: async (name: string) => void done.push(`scaling ${name}`) } }
  }
  it('takes an influence endpoint’s scaling down before the endpoint, so that a failure leaves what is tried again', async () => {
    const { done, hosting, scaling, left } = world('s-b-r8-0', 's-b-influence')
    const fleet = fleetOf(hosting, scaling)
    for (const { name } of await fleet.list()) await fleet.remove(name)
    expect(done).toEqual(['endpoint s-b-r8-0', 'scaling s-b-influence', 'endpoint s-b-influence'])
    left.add('s-b-influence')
    const throttled = fleetOf(hosting, { remove: () => Promise.reject(new Error('throttled')) })
    await expect(throttled.remove('s-b-influence')).rejects.toThrow('throttled')
    expect(left).toEqual(new Set(['s-b-influence']))
  })
  it('is gone only when nothing was made for as long as a running call could', async () => {
    const { left, hosting, scaling } = world('s-b-r8-0')
    let ms = 0
    const flow = async (waited: number) => {
      ms += waited
      if (ms === 30_000) left.add('s-b-r8-0') // made by a call from before the gate was shut
    }
    await removeAll(fleetOf(hosting, scaling), () => true, flow)
    expect([left.size, ms]).toEqual([0, 70_000])
    ms = 0
    await removeAll(fleetOf(hosting, scaling), () => false, flow)
    expect(ms).toBe(0)
  })
  it('is not made while the stack goes, whoever asks', async () => {
    const kept = new Map<string, object>()
    const records = {
      put: async ({ PK }: { PK: string }, record: object) => void kept.set(PK, record),
      find: async (_: unknown, { PK }: { PK: string }) => kept.get(PK),
    }
    const gate = new HostingGate(records as never)
    await gate.requireOpen()
    await gate.set(false, at(0))
    await expect(gate.requireOpen()).rejects.toMatchObject({ code: 'unavailable', status: 503 })
    await gate.set(true, at(1))
    await gate.requireOpen()
  })
})

describe('a name', () => {
  const record = (canary?: { adapterId: string; shareBps: number }): AdapterNameRecord => ({
    name: 'n/m',
    adapterId: 'a'.repeat(32),
    owner: 'acc_1',
    history: [],
    createdAt: '',
    ...(canary ? { canary } : {}),
  })
  const receipts = Array.from({ length: 20_000 }, (_, i) => `rcp_${i.toString(16).padStart(24, '0')}`)
  it('gives a canary its share of receipts, the same one to the same receipt', () => {
    for (const shareBps of [100, 2_500, 9_000]) {
      const split = record({ adapterId: 'b'.repeat(32), shareBps })
      const drawn = receipts.filter((id) => adapterFor(split, id) === 'b'.repeat(32))
      expect(Math.abs(drawn.length / receipts.length - shareBps / 10_000)).toBeLessThan(0.012)
      expect(drawn.every((id) => adapterFor(split, id) === 'b'.repeat(32))).toBe(true)
      // A larger share keeps those that a smaller one had.
      const more = record({ adapterId: 'b'.repeat(32), shareBps: shareBps + 500 })
      expect(drawn.every((id) => adapterFor(more, id) === 'b'.repeat(32))).toBe(true)
    }
    expect(receipts.every((id) => adapterFor(record(), id) === 'a'.repeat(32))).toBe(true)
  })
})

describe('the router', () => {
  const shards = ['s1', 's2', 's3']
  const [first, second, third] = shardOrder('x', shards) as [string, string, string]
  const world = (faults: Record<string, OpenLedgerError>, limit?: Error, pool = shards) => {
    const asked: string[] = []
    let woken = 0
    const ask = async (endpoint: string) => {
      asked.push(endpoint)
      if (faults[endpoint]) throw faults[endpoint]
      return (async function* () {})()
    }
    const wake = async () => {
      woken++
      if (limit) throw limit
    }
    const by = { secret: async () => 's', nowSeconds: 0, wake }
    return { asked, woken: () => woken, go: () => askInOrder(pool, 'x', '{}', by, ask) }
  }
  const busy = new OpenLedgerError('overloaded', 'busy')
  const gone = new OpenLedgerError('waking-up', 'gone', { retryAfter: 30 })

  it('asks the next shard when one is busy or lost, wakes the lost one, and stops at a refusal', async () => {
    const lost = world({ [first]: gone, [second]: busy })
    await lost.go()
    expect(lost.asked).toEqual([first, second, third])
    expect(lost.woken()).toBe(1)
    const refused = world({ [first]: new OpenLedgerError('invalid-request', 'no') })
    await expect(refused.go()).rejects.toThrow('no')
    expect(refused.asked).toEqual([first])
    expect(refused.woken()).toBe(0)
  })
  it('says when to come again while the whole pool sleeps, and wakes it once', async () => {
    const asleep = world({ [first]: gone, [second]: gone, [third]: gone })
    await expect(asleep.go()).rejects.toMatchObject({ code: 'waking-up', status: 503, retryAfter: 30 })
    expect(asleep.woken()).toBe(1)
  })
  it('wakes a pool that was never started', async () => {
    const never = world({}, undefined, [])
    await expect(never.go()).rejects.toMatchObject({ code: 'waking-up', status: 503, retryAfter: 30 })
    expect(never.woken()).toBe(1)
  })
  it('says why a pool may not be woken, unless a shard that is there answers', async () => {
    const spent = new OpenLedgerError('unavailable', 'the day is spent', { retryAfter: 3_600 })
    const asleep = world({ [first]: gone, [second]: gone, [third]: busy }, spent)
    await expect(asleep.go()).rejects.toBe(spent)
    expect(asleep.woken()).toBe(1)
    const one = world({ [first]: gone, [second]: gone }, spent)
    await one.go()
    expect(one.asked).toEqual([first, second, third])
  })
  it('notes the use of a pool once a minute', async () => {
    const noted: string[] = []
    const usage = new PoolUsage({ used: async (base, bucket, time) => void noted.push(`${base} ${bucket} ${time}`) })
    for (const minutes of [0, 0.5, 1.1]) await usage.note({ baseId: 'b', bucket: 8 }, at(minutes))
    await usage.note({ baseId: 'b', bucket: 16 }, at(1.2))
    expect(noted).toHaveLength(3)
  })
})
