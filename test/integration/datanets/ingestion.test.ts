import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DatanetVersion, Row } from '#schema/datanets'
import {
  call,
  eventually,
  executions,
  type Person,
  type Platform,
  person,
  put,
  readText,
  sha256,
  startPlatform,
} from './platform.ts'

let platform: Platform
let curator: Person
let contributor: Person
let datanetId: string

const sentence = (n: number): string =>
  `Contribution ${n} holds a sentence of its own about the number ${n * 7919} and nothing else at all.`
const jsonl = (texts: string[]): Buffer => Buffer.from(texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))

const found = async (): Promise<string> => {
  const body = { name: 'Licences', field: 'legal', licence: { id: 'CC-BY-4.0' } }
  const { status, body: datanet } = await call('create-datanet', curator, { body })
  expect(status).toBe(201)
  await call('join-datanet', contributor, { params: { datanetId: datanet.id } })
  return datanet.id
}
const announce = (bytes: Buffer, filename: string, to = datanetId, as = contributor, sum = sha256(bytes)) =>
  call('contribute', as, { params: { datanetId: to }, body: { filename, bytes: bytes.length, sha256: sum } })
const settled = (id: string, to = datanetId, as = contributor) =>
  eventually(async () => {
    const { body } = await call('get-contribution', as, { params: { datanetId: to, contributionId: id } })
    return ['accepted', 'rejected'].includes(body.state) ? body : undefined
  })
const upload = async (bytes: Buffer, filename: string, to = datanetId, as = contributor) => {
  const { status, body } = await announce(bytes, filename, to, as)
  expect(status).toBe(201)
  expect((await put(body.put, bytes)).status).toBe(200)
  return body.contribution.id as string
}
const rejectedOf = async (id: string, to = datanetId) =>
  (await call('list-rejected-rows', contributor, { params: { datanetId: to, contributionId: id } })).body.items
const rowsOf = async (id: string, to = datanetId) =>
  (await readText(platform, `datanets/${to}/parts/${id}/rows.jsonl`))
    .split('\n')
    .filter(Boolean)
    .map((line) => Row.parse(JSON.parse(line)))

beforeAll(async () => {
  platform = await startPlatform()
  curator = person()
  contributor = person()
  datanetId = await found()
}, 240_000)
afterAll(() => platform?.close())

describe('from upload to version', () => {
  let first: string

  test('accepted rows, rejected rows with reasons, a version, and the provenance shard', async () => {
    const bytes = Buffer.concat([
      jsonl([sentence(1), sentence(2)]),
      Buffer.from(`{"text":"cut\n`),
      jsonl([sentence(1).toUpperCase(), sentence(3)]),
    ])
    first = await upload(bytes, 'rows.jsonl')
    const contribution = await settled(first)
    expect(contribution).toMatchObject({ state: 'accepted', rowsAccepted: 3, rowsRejected: 2, version: 1 })

    const rows = await rowsOf(first)
    expect(rows.map(({ text }) => text)).toEqual([sentence(1), sentence(2), sentence(3)])
    expect(rows.map(({ cluster, id }) => cluster === id)).toEqual([true, true, true])
    expect(rows.map(({ start, end }) => JSON.parse(bytes.subarray(start, end).toString()).text)).toEqual(
      rows.map(({ text }) => text),
    )
    expect(await rejectedOf(first)).toEqual([
      { row: 2, start: expect.any(Number), end: expect.any(Number), code: 'not-json', detail: expect.any(String) },
      { row: 3, start: expect.any(Number), end: expect.any(Number), code: 'exact-duplicate', detail: rows[0]?.id },
    ])

    const { body } = await call('get-version', contributor, { params: { datanetId, version: '1' } })
    const manifest = DatanetVersion.parse(body)
    expect(manifest).toMatchObject({ version: 1, rows: 3, parts: [{ contribution: first, rows: 3 }] })
    const part = manifest.parts[0]
    expect(sha256(Buffer.from(await readText(platform, part?.rowsKey ?? '')))).toBe(part?.rowsSha256)
    expect(part?.indexSha256).toMatch(/^[0-9a-f]{64}$/)
    expect((await call('list-versions', curator, { params: { datanetId } })).body.items).toEqual([
      { version: 1, root: manifest.root, rows: 3, createdAt: manifest.createdAt },
    ])
    expect((await call('get-datanet', curator, { params: { datanetId } })).body).toMatchObject({ version: 1, rows: 3 })
  })

  test('a later copy belongs to the earlier row, near-copies too, and the next version counts on', async () => {
    const rows = await rowsOf(first)
    const near = sentence(2).replace('nothing else at all', 'nothing else')
    const second = await upload(jsonl([sentence(3), near, sentence(4)]), 'more.jsonl')
    expect(await settled(second)).toMatchObject({ state: 'accepted', rowsAccepted: 1, rowsRejected: 2, version: 2 })
    expect(await rejectedOf(second)).toMatchObject([
      { row: 0, code: 'exact-duplicate', detail: rows[2]?.id },
      { row: 1, code: 'near-duplicate', detail: rows[1]?.id },
    ])
    const [v1, v2] = await Promise.all(
      ['1', '2'].map(async (version) => (await call('get-version', curator, { params: { datanetId, version } })).body),
    )
    expect(v2).toMatchObject({ previousRoot: v1.root, rows: 4, parts: [v1.parts[0], { contribution: second }] })
    expect((await rowsOf(second))[0]?.sequence).toBeGreaterThan(Math.max(...rows.map(({ sequence }) => sequence)))
  })

  test('a repeated event does nothing, and the same bytes are refused at the door', async () => {
    const { Body: _body, ...before } = {
      Body: 0,
      ...(await call('get-datanet', curator, { params: { datanetId } })).body,
    }
    const known = await executions(platform)
    const { StartExecutionCommand } = await import('@aws-sdk/client-sfn')
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
    expect(await announce(bytes, 'again.jsonl')).toMatchObject({ status: 409, body: { code: 'already-exists' } })
  })

  test('many uploads at once: one version each, no row twice, earlier registered wins', async () => {
    const to = await found()
    const shared = Array.from({ length: 5 }, (_, n) => sentence(1000 + n))
    const ids = await Promise.all(
      Array.from({ length: 6 }, (_, n) => upload(jsonl([sentence(2000 + n), ...shared]), `${n}.jsonl`, to)),
    )
    const all = await Promise.all(ids.map((id) => settled(id, to)))
    expect(all.map(({ state }) => state)).toEqual(Array(6).fill('accepted'))
    expect(all.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6])
    const rows = (await Promise.all(ids.map((id) => rowsOf(id, to)))).flat()
    expect(rows).toHaveLength(11)
    const winner = all.find(({ version }) => version === 1)
    const ownersOfShared = rows.filter(({ text }) => shared.includes(text)).map(({ contribution }) => contribution)
    expect(new Set(ownersOfShared)).toEqual(new Set([winner.id]))
    // Versions were published in registry order.
    const byVersion = [...all].sort((a, b) => a.version - b.version).map(({ id }) => id)
    const bySequence = [...rows].sort((a, b) => a.sequence - b.sequence).map(({ contribution }) => contribution)
    expect([...new Set(bySequence)]).toEqual(byVersion)
  }, 120_000)
})
