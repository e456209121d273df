import { describe, expect, test } from 'vitest'
import { call, person, put } from './platform.ts'
import { announce, found, jsonl, sentence, settled, type World } from './world.ts'

export const access = (world: () => World) =>
  describe('who may', () => {
    const none = `dn_${'0'.repeat(24)}`

    test('only members contribute, and joining twice is joining once', async () => {
      const { datanetId } = world()
      const stranger = person()
      const bytes = jsonl([sentence(90)])
      expect(await announce({ contributor: stranger, datanetId }, bytes, 'a.jsonl')).toMatchObject({
        status: 403,
        body: { code: 'forbidden' },
      })
      const joined = await call('join-datanet', stranger, { params: { datanetId } })
      expect(joined).toMatchObject({ status: 201, body: { accountId: stranger.accountId } })
      expect((await call('join-datanet', stranger, { params: { datanetId } })).body).toEqual(joined.body)
      expect((await announce({ contributor: stranger, datanetId }, bytes, 'a.jsonl')).status).toBe(201)
    })

    test("other people's contributions do not exist; the curator reads and does not write", async () => {
      const { curator, contributor, datanetId } = world()
      const id = (await announce(world(), jsonl([sentence(91)]), 'a.jsonl')).body.contribution.id
      const params = { datanetId, contributionId: id }
      for (const door of ['get-contribution', 'list-rejected-rows', 'resume-upload', 'complete-upload'])
        expect(await call(door, person(), { params })).toMatchObject({ status: 404, body: { code: 'not-found' } })
      expect((await call('get-contribution', curator, { params })).status).toBe(200)
      expect(await call('resume-upload', curator, { params })).toMatchObject({ status: 403 })
      expect(await call('complete-upload', contributor, { params })).toMatchObject({
        status: 409,
        body: { code: 'wrong-state' },
      })
    })

    test('what is not there is 404, and what is no id is 400', async () => {
      const { contributor, datanetId } = world()
      const params = { datanetId: none, contributionId: `ctr_${'0'.repeat(24)}`, version: '1' }
      for (const door of ['get-datanet', 'join-datanet', 'list-versions', 'get-version', 'get-contribution'])
        expect((await call(door, contributor, { params: only(door, params) })).status, door).toBe(404)
      expect((await call('get-datanet', contributor, { params: { datanetId: 'dn_x' } })).status).toBe(400)
      const unpublished = await call('get-version', contributor, { params: { datanetId, version: '99' } })
      expect(unpublished).toMatchObject({ status: 404 })
    })

    test('an Idempotency-Key names one contribution, and its URL can be renewed until the bytes are there', async () => {
      const { curator, contributor } = world()
      const there = { contributor, datanetId: await found(curator, contributor) }
      const bytes = jsonl([sentence(92)])
      const headers = { 'Idempotency-Key': 'upload-1' }
      const [one, two] = [
        await announce(there, bytes, 'a.jsonl', { headers }),
        await announce(there, bytes, 'a.jsonl', { headers }),
      ]
      expect(two.body.contribution).toEqual(one.body.contribution)
      expect(await announce(there, jsonl([sentence(93)]), 'a.jsonl', { headers })).toMatchObject({ status: 409 })
      const params = { datanetId: there.datanetId, contributionId: one.body.contribution.id }
      const renewed = await call('resume-upload', contributor, { params })
      expect((await put(renewed.body.put, bytes)).status).toBe(200)
      expect(await settled(there, params.contributionId)).toMatchObject({ state: 'accepted' })
      expect(await call('resume-upload', contributor, { params })).toMatchObject({
        status: 409,
        body: { code: 'wrong-state' },
      })
    })

    test('Datanets are listed in pages', async () => {
      const { curator, contributor } = world()
      const added = [await found(curator, contributor), await found(curator, contributor)]
      const ids: string[] = []
      let cursor: string | null = null
      do {
        const query: Record<string, string> = { limit: '2', ...(cursor ? { cursor } : {}) }
        const { body } = await call('list-datanets', contributor, { query })
        ids.push(...body.items.map(({ id }: { id: string }) => id))
        cursor = body.cursor
      } while (cursor)
      expect(ids).toEqual(expect.arrayContaining(added))
      expect(new Set(ids).size).toBe(ids.length)
    })

    const only = (door: string, { datanetId, contributionId, version }: Record<string, string>) =>
      door === 'get-version'
        ? { datanetId, version }
        : door === 'get-contribution'
          ? { datanetId, contributionId }
          : { datanetId }
  })
