import { StartExecutionCommand } from '@aws-sdk/client-sfn'
import { describe, expect, test } from 'vitest'
import { DatanetVersion, type Row } from '#schema/datanets'
import { leafOf, MerkleRoot } from '../../../functions/datanets/versions/merkle-tree.ts'
import { rowLine } from '../../../functions/datanets/versions/row-record.ts'
import { NO_ROOT, versionRoot } from '../../../functions/datanets/versions/version-manifest.ts'
import { call, eventually, executions, readText, sha256 } from './platform.ts'
import { acceptedRows, announce, found, jsonl, rejectedRows, sentence, settled, upload, type World } from './world.ts'

/** The root that anybody can compute from the rows alone. */
const rootOf = (rows: Row[]): string => {
  const tree = new MerkleRoot()
  for (const row of rows) tree.add(leafOf(Buffer.from(rowLine(row))))
  return `0x${Buffer.from(tree.root()).toString('hex')}`
}

export const publishing = (world: () => World) =>
  describe('from upload to version', () => {
    let first: string
    const rowsOf = (id: string, datanetId = world().datanetId) => acceptedRows(world().platform, datanetId, id)

    test('accepted rows, rejected rows with reasons, a version, and the provenance shard', async () => {
      const { datanetId, contributor, curator, platform } = world()
      const bytes = Buffer.concat([
        jsonl([sentence(1), sentence(2)]),
        Buffer.from('{"text":"cut\n'),
        jsonl([sentence(1).toUpperCase(), sentence(3)]),
      ])
      first = await upload(world(), bytes, 'rows.jsonl')
      const contribution = await settled(world(), first)
      expect(contribution).toMatchObject({ state: 'accepted', rowsAccepted: 3, rowsRejected: 2, version: 1 })

      const rows = await rowsOf(first)
      expect(rows.map(({ text }) => text)).toEqual([sentence(1), sentence(2), sentence(3)])
      for (const row of rows) {
        expect(row.cluster).toBe(row.id)
        expect(JSON.parse(bytes.subarray(row.start, row.end).toString()).text).toBe(row.text)
      }
      const place = { start: expect.any(Number), end: expect.any(Number) }
      expect((await rejectedRows(world(), first)).items).toEqual([
        { row: 2, ...place, code: 'not-json', detail: expect.any(String) },
        { row: 3, ...place, code: 'exact-duplicate', detail: rows[0]?.id },
      ])

      const { body } = await call('get-version', contributor, { params: { datanetId, version: '1' } })
      const manifest = DatanetVersion.parse(body)
      expect(manifest).toMatchObject({ version: 1, rows: 3, parts: [{ contribution: first, rows: 3 }] })
      expect(manifest.root).toBe(versionRoot(NO_ROOT, [rootOf(rows)]))
      const [part] = manifest.parts
      expect(sha256(Buffer.from(await readText(platform, part?.rowsKey ?? '')))).toBe(part?.rowsSha256)
      expect(part?.shards).toEqual([
        expect.objectContaining({ rows: 3, start: 0, indexSha256: expect.stringMatching(/^[0-9a-f]{64}$/) }),
      ])
      expect((await call('list-versions', curator, { params: { datanetId } })).body.items).toEqual([
        { version: 1, root: manifest.root, rows: 3, createdAt: manifest.createdAt },
      ])
      expect((await call('get-datanet', curator, { params: { datanetId } })).body).toMatchObject({
        version: 1,
        rows: 3,
      })
    })

    test('a later copy belongs to the earlier row, near-copies too, and the next version counts on', async () => {
      const { datanetId, curator } = world()
      const rows = await rowsOf(first)
      const near = sentence(2).replace('nothing else at all', 'nothing else')
      const second = await upload(world(), jsonl([sentence(3), near, sentence(4)]), 'more.jsonl')
      expect(await settled(world(), second)).toMatchObject({ state: 'accepted', rowsAccepted: 1, version: 2 })
      expect((await rejectedRows(world(), second)).items).toMatchObject([
        { row: 0, code: 'exact-duplicate', detail: rows[2]?.id },
        { row: 1, code: 'near-duplicate', detail: rows[1]?.id },
      ])
      const version = async (n: string) =>
        (await call('get-version', curator, { params: { datanetId, version: n } })).body
      const [v1, v2] = [await version('1'), await version('2')]
      expect(v2).toMatchObject({ previousRoot: v1.root, rows: 4, parts: [v1.parts[0], { contribution: second }] })
      const added = await rowsOf(second)
      expect(v2.root).toBe(versionRoot(v1.root, [rootOf(rows), rootOf(added)]))
      expect(added[0]?.sequence).toBeGreaterThan(Math.max(...rows.map(({ sequence }) => sequence)))
    })

    test('a repeated event does nothing, and the same bytes are refused at the door', async () => {
      const { datanetId, curator, platform } = world()
      const before = (await call('get-datanet', curator, { params: { datanetId } })).body
      const known = await executions(platform)
      const again = await platform.sfn.send(
        new StartExecutionCommand({ stateMachineArn: platform.outputs['Flow'], input: known.at(-1)?.input }),
      )
      const ended = await eventually(async () =>
        (await executions(platform)).find(
          ({ executionArn, status }) => executionArn === again.executionArn && status !== 'RUNNING',
        ),
      )
      expect(JSON.parse(ended.output ?? '{}')).toMatchObject({ outcome: 'ignored' })
      expect((await call('get-datanet', curator, { params: { datanetId } })).body).toEqual(before)
      const bytes = Buffer.from(await readText(platform, `quarantine/${datanetId}/${first}`))
      expect(await announce(world(), bytes, 'again.jsonl')).toMatchObject({
        status: 409,
        body: { code: 'already-exists' },
      })
    })

    test('many uploads at once: one version each, no row twice, earlier registered wins', async () => {
      const { curator, contributor } = world()
      const there = { contributor, datanetId: await found(curator, contributor) }
      const shared = Array.from({ length: 5 }, (_, n) => sentence(1000 + n))
      const ids = await Promise.all(
        Array.from({ length: 6 }, (_, n) => upload(there, jsonl([sentence(2000 + n), ...shared]), `${n}.jsonl`)),
      )
      const all = await Promise.all(ids.map((id) => settled(there, id)))
      expect(all.map(({ state }) => state)).toEqual(Array(6).fill('accepted'))
      expect(all.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6])
      const rows = (await Promise.all(ids.map((id) => rowsOf(id, there.datanetId)))).flat()
      expect(rows).toHaveLength(11)
      const winner = all.find(({ version }) => version === 1)
      const owners = rows.filter(({ text }) => shared.includes(text)).map(({ contribution }) => contribution)
      expect(new Set(owners)).toEqual(new Set([winner.id]))
      // Versions were published in registry order.
      const byVersion = [...all].sort((a, b) => a.version - b.version).map(({ id }) => id)
      const bySequence = [...rows].sort((a, b) => a.sequence - b.sequence).map(({ contribution }) => contribution)
      expect([...new Set(bySequence)]).toEqual(byVersion)
    }, 120_000)
  })
