import { describe, expect, it } from 'vitest'
import type { DatanetVersion } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import { awaitTurn } from '../../../functions/datanets/ingestion/await-turn.ts'
import { failureOf } from '../../../functions/datanets/ingestion/failure.ts'
import { publishVersion } from '../../../functions/datanets/ingestion/publish-version.ts'
import type { IngestionRecords, Publication } from '../../../functions/datanets/ingestion-records.store.ts'

const datanetId = `dn_${'1'.repeat(24)}`
const contributionId = `ctr_${'2'.repeat(24)}`
const upload = { datanetId, contributionId, versionId: 'v1' }

describe('the turn', () => {
  const clock = (start = 0) => {
    let at = start
    return () => {
      at += 3000
      return new Date(at)
    }
  }
  it('is taken when no earlier contribution is open, and waited for otherwise', async () => {
    const queue = (first: number | undefined) => ({ ticket: async () => 5, firstTicket: async () => first })
    expect(await awaitTurn(queue(5), upload, clock())).toEqual({ ready: true, ticket: 5 })
    expect(await awaitTurn(queue(undefined), upload, clock())).toEqual({ ready: true, ticket: 5 })
    expect(await awaitTurn(queue(4), upload, clock())).toEqual({ ready: false, seconds: 3 })
  })
  it('comes within a wait when the earlier one ends', async () => {
    const open = [3, 4, 5]
    const queue = { ticket: async () => 5, firstTicket: async () => open.shift() }
    expect(await awaitTurn(queue, upload, () => new Date(0))).toEqual({ ready: true, ticket: 5 })
  })
  it('is not held up by executions that ended long ago', async () => {
    let asked = ''
    const queue = {
      ticket: async () => 5,
      firstTicket: async (_: string, since: string) => {
        asked = since
        return undefined
      },
    }
    await awaitTurn(queue, upload, () => new Date('2026-11-23T12:00:00Z'))
    expect(asked).toBe('2026-11-23T08:00:00.000Z')
  })
})

describe('publishing', () => {
  const prepared = {
    baseVersion: 0,
    rows: 2,
    rejected: 1,
    rowsSha256: 'a'.repeat(64),
    root: `0x${'b'.repeat(64)}`,
    firstSequence: 7,
  }
  const setting = (datanet: object = {}, contribution: object = {}, publishes = true) => {
    const stored = new Map<string, string>()
    const published: Publication[] = []
    const records = {
      datanet: async () => ({ version: 0, licence: { id: 'MIT' }, policy: {}, ...datanet }),
      contribution: async () => ({
        state: 'validating',
        contributor: 'acc_x',
        sha256: 'c'.repeat(64),
        ...contribution,
      }),
      ticket: async () => 1,
      withdrawn: async () => new Set(),
      publish: async (_: unknown, part: Publication) => {
        if (publishes) published.push(part)
        return publishes
      },
    } as unknown as IngestionRecords
    const put = async (key: string, body: string, once: boolean) => {
      if (once && stored.has(key) && stored.get(key) !== body) throw new OpenLedgerError('conflict', 'taken')
      stored.set(key, body)
      return 'd'.repeat(64)
    }
    const parts = {
      records,
      put,
      version: async (key: string) => JSON.parse(stored.get(key) ?? 'null') as DatanetVersion,
      roots: async (key: string) => JSON.parse(stored.get(key) ?? '[]') as string[],
      now: () => new Date(0),
    }
    return { stored, published, run: () => publishVersion(upload, prepared, [], parts) }
  }
  const manifest = `datanets/${datanetId}/versions/1.json`

  it('writes the manifest before the version becomes visible', async () => {
    const { stored, published, run } = setting()
    expect(await run()).toEqual({ outcome: 'published', version: 1 })
    expect(JSON.parse(stored.get(manifest) ?? '')).toMatchObject({ version: 1, rows: 2, root: published[0]?.root })
  })
  it('has done its work already when it is repeated after the commit', async () => {
    const { stored, run } = setting({ version: 1 }, { state: 'accepted', version: 1 })
    expect(await run()).toEqual({ outcome: 'published', version: 1 })
    expect(stored.size).toBe(0)
  })
  it('writes nothing on top of another version, and asks to deduplicate again', async () => {
    const { stored, run } = setting({ version: 3 })
    expect(await run()).toEqual({ outcome: 'stale' })
    expect(stored.size).toBe(0)
    expect(await setting({}, {}, false).run()).toEqual({ outcome: 'stale' })
  })
  it('replaces a manifest that a run left behind which died before its commit', async () => {
    const { stored, run } = setting()
    stored.set(manifest, '{"left":"behind"}')
    expect(await run()).toEqual({ outcome: 'published', version: 1 })
    expect(JSON.parse(stored.get(manifest) ?? '')).toMatchObject({ version: 1 })
  })
  it('refuses to publish what was rejected meanwhile', async () => {
    await expect(setting({}, { state: 'rejected' }).run()).rejects.toThrow('is rejected')
  })
})

describe('failures', () => {
  const key = `quarantine/${datanetId}/${contributionId}`
  const event = { detail: { bucket: { name: 'data' }, object: { key } } }
  it('are recorded with the reason that a state gave, or as a fault of ours', () => {
    const reason = { code: 'too-large', detail: 'x' }
    expect(failureOf({ upload, execution: 'e', reason, rejected: 3 })).toMatchObject({
      upload,
      execution: 'e',
      reason,
      rejected: 3,
    })
    const fault = { upload: { datanetId, contributionId }, execution: 'e', reason: { code: 'ingestion-failed' } }
    expect(failureOf({ event, execution: 'e' })).toMatchObject(fault)
    expect(failureOf({ detail: { executionArn: 'e', input: JSON.stringify(event) } })).toMatchObject(fault)
  })
  it('of a key that is no upload concern nobody, and other inputs are refused', () => {
    const other = { detail: { bucket: { name: 'data' }, object: { key: `${key}/x` } } }
    expect(failureOf({ event: other, execution: 'e' })).toBeUndefined()
    expect(() => failureOf({})).toThrow()
  })
})
