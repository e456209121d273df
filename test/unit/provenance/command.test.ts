import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { IndexRow, ProvenanceSpan } from '../../../functions/attribution/provenance/index.ts'
import { referenceCount, referenceSpans } from '../../../functions/attribution/provenance/reference.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'provenance-command-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

interface Run {
  code: number | null
  out: string[]
  err: string
}

/** Runs the front door; `input` goes to stdin in the chunks given. */
function run(args: string[], input: (string | Buffer)[] = [], env: Record<string, string> = {}): Promise<Run> {
  const child = spawn(process.execPath, ['local/commands/provenance.ts', ...args], { env: { ...process.env, ...env } })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (err += chunk))
  for (const chunk of input) child.stdin.write(chunk)
  child.stdin.end()
  return new Promise((done) => child.on('close', (code) => done({ code, out: out.split('\n').slice(0, -1), err })))
}

const last = (run: Run) => JSON.parse(run.out.at(-1)!) as Record<string, number>
const build = (lines: (string | Buffer)[], ...more: string[]) => {
  writeFileSync(
    join(folder, 'rows.jsonl'),
    Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')])),
  )
  return run(['build', '--rows', join(folder, 'rows.jsonl'), '--out', join(folder, 'index'), ...more])
}
const rows: IndexRow[] = Array.from({ length: 60 }, (_, i) => ({
  id: `row-${(i * 37) % 60}`,
  text: i === 0 ? '' : `${i % 7} bottles of beer\u2028on the wall, 😀 ${i % 5} bottles of beer, take one down \u0000`,
}))
const lines = rows.map((row) => JSON.stringify(row).replace('\\u2028', '\u2028'))

test('build, spans and count keep the contract, whatever the shards', async () => {
  const corpusBytes = rows.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
  writeFileSync(join(folder, 'rows.jsonl'), `${lines.join('\n')}\n`)
  const answers: string[] = []
  for (const shardBytes of ['900', '100000']) {
    const out = join(folder, `index-${shardBytes}`)
    const args = ['build', '--rows', join(folder, 'rows.jsonl'), '--out', out]
    const built = await run(args, [], { PROVENANCE_SHARD_BYTES: shardBytes })
    expect(built.code).toBe(0)
    const indexBytes = readdirSync(out).reduce((sum, file) => sum + statSync(join(out, file)).size, 0)
    expect(last(built)).toMatchObject({ rows: 60, corpusBytes, indexBytes })
    expect(readdirSync(out).length > 3).toBe(shardBytes === '900')
    const text = `xx bottles of beer\u2028on the wall, 😀 3 bottles of beer, ta 4 bottles of beer, take one down \u0000`
    const queries = [
      `${JSON.stringify({ id: 'a', text }).replace('\\u2028', '\u2028')}\n{"id":"b"`,
      `,"text":""}\nnot json\n{"id":5,"text":"x"}\n{"id":"c"}\n{"id":"d","text":"\\ud800"}\n`,
      Buffer.from([0x7b, 0xff, 0x0a]),
      JSON.stringify({ id: 'long', text: 'x'.repeat(1_048_577) }),
    ]
    const spans = (await run(['spans', '--index', out, '--min-length', '12', '--max-owners', '3'], queries)).out.map(
      (line) => JSON.parse(line) as { id: string; spans: ProvenanceSpan[]; ms: number },
    )
    const expected = referenceSpans(rows, Buffer.from(text), 12).map((span) => ({
      ...span,
      owners: span.owners.slice(0, 3),
    }))
    expect(expected.length).toBeGreaterThan(1)
    expect(spans.map(({ ms, ...rest }) => ({ ...rest, ...(ms === undefined ? {} : { ms: ms > 0 }) }))).toEqual([
      { id: 'a', spans: expected, ms: true },
      { id: 'b', spans: [], ms: true },
      { id: null, error: 'not JSON' },
      { id: null, error: 'id: must be a string' },
      { id: 'c', error: 'text: must be a string' },
      { id: 'd', error: 'text: holds half of a surrogate pair' },
      { id: null, error: 'not UTF-8' },
      { id: 'long', error: 'text: longer than 1 MB' },
    ])
    const counted = await run(['count', '--index', out], ['{"id":"e","text":" bottles"}\n{"id":"f","text":""}\n'])
    expect(JSON.parse(counted.out[0]!)).toEqual({ id: 'e', count: referenceCount(rows, Buffer.from(' bottles')) })
    expect(JSON.parse(counted.out[1]!)).toMatchObject({ id: 'f', error: expect.stringContaining('empty') })
    answers.push(JSON.stringify(spans[0]!.spans))
  }
  expect(answers[0]).toBe(answers[1])
}, 60_000)

test('an answer comes before the next query is sent', async () => {
  await build(lines)
  const child = spawn(process.execPath, ['local/commands/provenance.ts', 'count', '--index', join(folder, 'index')])
  for (const id of ['1', '2', '3']) {
    child.stdin.write(`${JSON.stringify({ id, text: 'beer' })}\n`)
    const line = await new Promise<Buffer>((done) => child.stdout.once('data', done))
    expect(JSON.parse(line.toString())).toMatchObject({ id })
  }
  child.stdin.end()
  await new Promise((done) => child.on('close', done))
}, 60_000)

test.each<[string, (string | Buffer)[], string]>([
  ['a repeated id', [lines[0]!, lines[1]!, lines[0]!], 'line 3'],
  ['not JSON', [lines[0]!, '{'], 'line 2'],
  ['an empty line', [lines[0]!, '', lines[1]!], 'line 2'],
  ['not such an object', [lines[0]!, '["id"]'], 'line 2'],
  ['not UTF-8', [Buffer.from('{"id":"\xe9","text":""}', 'latin1')], 'line 1'],
  ['half a surrogate pair', ['{"id":"a","text":"\\udc00"}'], 'line 1'],
])(
  '%s is refused, naming the line, and nothing is left behind',
  async (_, given, named) => {
    const refused = await build(given)
    expect(refused.code).toBe(1)
    expect(refused.err).toContain(named)
    expect(readdirSync(folder)).toEqual(['rows.jsonl'])
  },
  60_000,
)

test.each(['index', 'not/there/yet'])(
  'a repeated id is seen across shards; %s and its first shards go',
  async (out) => {
    writeFileSync(join(folder, 'rows.jsonl'), [...lines, lines[3]!].join('\n'))
    const args = ['build', '--rows', join(folder, 'rows.jsonl'), '--out', join(folder, out)]
    const refused = await run(args, [], { PROVENANCE_SHARD_BYTES: '500' })
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('line 61')
    expect(readdirSync(folder)).toEqual(['rows.jsonl'])
  },
  60_000,
)

test('what a build of other rows left when it was cut off does not end up in the index', async () => {
  const index = join(folder, 'index')
  expect((await build(lines)).code).toBe(0)
  mkdirSync(join(index, '.unfinished'))
  for (const file of ['shard-0000.idx', 'shard-0001.idx'])
    cpSync(join(index, 'shard-0000.idx'), join(index, '.unfinished', file))
  writeFileSync(join(index, '.unfinished', 'shard-0001.idx.rows'), 'digest')
  const built = await build(lines.slice(0, 9), '--force')
  expect(readdirSync(index).sort()).toEqual(['index.json', 'shard-0000.idx'])
  const bytes = readdirSync(index).reduce((sum, file) => sum + statSync(join(index, file)).size, 0)
  expect(last(built)['indexBytes']).toBe(bytes)
}, 60_000)

test('a shard of other rows, whole and of the same size, is refused, and so is a list of none', async () => {
  const index = join(folder, 'index')
  await build(lines)
  cpSync(index, join(folder, 'other'), { recursive: true })
  const other = lines.map((line) => line.replace('beer', 'wine'))
  await build(other, '--force')
  cpSync(join(folder, 'other', 'shard-0000.idx'), join(index, 'shard-0000.idx'))
  expect(await run(['count', '--index', index], ['{"id":"a","text":"wine"}\n'])).toMatchObject({
    code: 1,
    out: [],
    err: expect.stringContaining('is not the shard'),
  })
  writeFileSync(join(index, 'index.json'), '{"shards":[]}')
  expect(await run(['count', '--index', index], ['{"id":"a","text":"beer"}\n'])).toMatchObject({ code: 1, out: [] })
}, 60_000)

test('a full folder is kept without --force; damaged and missing shards are refused', async () => {
  const index = join(folder, 'index')
  expect((await build(lines)).code).toBe(0)
  const before = readFileSync(join(index, 'shard-0000.idx'))
  expect((await build(lines.slice(0, 9))).code).toBe(1)
  expect(readFileSync(join(index, 'shard-0000.idx'))).toEqual(before)
  expect((await build(lines.slice(0, 9), '--force')).code).toBe(0)
  expect((await build(lines, '--force')).code).toBe(0)
  expect(readFileSync(join(index, 'shard-0000.idx'))).toEqual(before) // the same rows, the same file
  const other = join(folder, 'other')
  cpSync(index, other, { recursive: true })
  writeFileSync(join(other, 'shard-0000.idx'), before.subarray(0, -1))
  expect(await run(['count', '--index', other])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/other.shard-0000\.idx: INDEX_TRUNCATED/),
  })
  rmSync(join(other, 'shard-0000.idx'))
  expect((await run(['count', '--index', other])).code).toBe(1)
  expect((await run(['count', '--index', folder])).err).toContain('holds no provenance index')
}, 60_000)

test('a folder is filled, not replaced: it may be the root of a disk; a refusal leaves it as it was', async () => {
  const index = join(folder, 'index')
  mkdirSync(index)
  const { ino } = statSync(index)
  expect((await build(lines)).code).toBe(0)
  expect(statSync(index).ino).toBe(ino)
  const before = readdirSync(index).map((file) => readFileSync(join(index, file)))
  expect((await build([...lines, '{'], '--force')).code).toBe(1)
  expect(readdirSync(index).map((file) => readFileSync(join(index, file)))).toEqual(before)
  expect(readdirSync(folder).sort()).toEqual(['index', 'rows.jsonl'])
}, 60_000)

test('--force replaces a folder, but neither a file nor the folder of the rows', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, 'mine')
  const args = (out: string) => ['build', '--rows', join(folder, 'rows.jsonl'), '--out', out, '--force']
  expect((await build(lines, '--out', file, '--force')).err).toContain('is no folder')
  expect(readFileSync(file, 'utf8')).toBe('mine')
  for (const out of [folder, join(folder, 'rows.jsonl')])
    expect(await run(args(out))).toMatchObject({ code: 1, err: expect.stringContaining('holds --rows') })
  expect(existsSync(join(folder, 'rows.jsonl'))).toBe(true)
}, 60_000)

test('a build that was cut off goes on from its finished shards', async () => {
  const index = join(folder, 'index')
  expect((await build(lines)).code).toBe(0)
  mkdirSync(join(folder, 'other', '.unfinished'), { recursive: true })
  renameSync(join(index, 'shard-0000.idx'), join(folder, 'other', '.unfinished', 'shard-0000.idx'))
  const { createHash } = await import('node:crypto')
  const digest = createHash('sha256')
    .update(lines.map((line) => `${line}\n`).join(''))
    .digest('hex')
  const other = join(folder, 'other')
  writeFileSync(join(other, '.unfinished', 'shard-0000.idx.rows'), digest)
  // Not asked to replace anything: nothing but an unfinished index stands there.
  const again = await build(lines, '--out', other)
  expect(again.err).toContain('finished already')
  expect(readdirSync(other).sort()).toEqual(['index.json', 'shard-0000.idx'])
  expect((await run(['count', '--index', other], ['{"id":"a","text":"beer"}\n'])).code).toBe(0)
}, 60_000)
