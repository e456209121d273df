import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import {
  buildIndex,
  mergeSpans,
  openIndex,
  type ProvenanceIndex,
} from '../../functions/attribution/provenance/index.ts'
import { RowRefused, readRows, shardsOf } from './provenance/rows-file.ts'

const HELP = `usage: npm run provenance -- build --rows ROWS.jsonl --out DIR [--force]
       npm run provenance -- spans --index DIR --min-length 32 [--max-owners 16]
       npm run provenance -- count --index DIR

build   an index of rows {"id","text"}, one object a line in UTF-8; queries need DIR alone
spans   maximal stretches of each query that stand verbatim in one row, with their owners; queries {"id","text"} on stdin
count   positions at which the bytes of each query occur, in all rows
`
const [verb, ...rest] = process.argv.slice(2)

const usage = (message?: string): never => {
  ;(message ? process.stderr : process.stdout).write(`${message ? `${message}\n\n` : ''}${HELP}`)
  process.exit(message ? 2 : 0)
}

const read = () => {
  try {
    return parseArgs({
      args: rest,
      options: {
        rows: { type: 'string' },
        out: { type: 'string' },
        force: { type: 'boolean', default: false },
        index: { type: 'string' },
        'min-length': { type: 'string', default: '32' },
        'max-owners': { type: 'string', default: '16' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    return usage((error as Error).message)
  }
}
if (!verb || verb === '--help' || verb === '-h') usage(verb ? undefined : 'say what to do')
const options = read()
if (options.help) usage()

const whole = (name: 'min-length' | 'max-owners', least: number): number => {
  const value = Number(options[name])
  return Number.isInteger(value) && value >= least
    ? value
    : usage(`--${name} must be a whole number of at least ${least}`)
}

if (verb === 'build') await build()
else if (verb === 'spans' || verb === 'count') await answerQueries(verb)
else usage(`there is no command ${verb}`)

/** Everything is written beside the target and renamed at the end: a refused input leaves nothing behind. */
async function build(): Promise<void> {
  if (!options.rows || !options.out) usage('--rows and --out are needed')
  const out = resolve(options.out!)
  if (existsSync(out) && (!statSync(out).isDirectory() || readdirSync(out).length > 0) && !options.force)
    return refuse(`${options.out} is not empty: choose another folder or say --force`)
  const started = Date.now()
  const unfinished = join(dirname(out), `.${process.pid}.unfinished`)
  try {
    const rows = await readRows(options.rows!)
    mkdirSync(unfinished, { recursive: true })
    const shards = shardsOf(rows)
    let indexBytes = 0
    for (const [i, shard] of shards.entries()) {
      process.stderr.write(`shard ${i + 1} of ${shards.length}: ${shard.length} rows\n`)
      const bytes = buildIndex(shard)
      writeFileSync(join(unfinished, `shard-${String(i).padStart(4, '0')}.idx`), bytes)
      indexBytes += bytes.length
    }
    rmSync(out, { recursive: true, force: true })
    renameSync(unfinished, out)
    const corpusBytes = rows.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
    print({
      rows: rows.length,
      corpusBytes,
      indexBytes,
      seconds: (Date.now() - started) / 1000,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
    })
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    if (error instanceof RowRefused || (error as NodeJS.ErrnoException).code === 'ENOENT')
      return refuse((error as Error).message)
    throw error
  }
}

async function answerQueries(kind: 'spans' | 'count'): Promise<void> {
  if (!options.index) usage('--index is needed')
  const minLength = whole('min-length', 1)
  const maxOwners = whole('max-owners', 0)
  const shards: ProvenanceIndex[] = []
  try {
    const files = readdirSync(options.index!)
      .filter((name) => name.endsWith('.idx'))
      .sort()
    if (files.length === 0) throw new Error(`${options.index} holds no index`)
    for (const file of files) shards.push(openIndex(readFileSync(join(options.index!, file))))
  } catch (error) {
    return refuse((error as Error).message)
  }
  let answered = 0
  // Lines end in \n only: a raw U+2028 is text, which readline would take for an end.
  for await (const line of linesOf(process.stdin)) {
    answered++
    print(answer(line, kind, shards, minLength, maxOwners))
  }
  if (answered === 0) print({ queries: 0 })
}

function answer(
  line: string,
  kind: 'spans' | 'count',
  shards: readonly ProvenanceIndex[],
  minLength: number,
  maxOwners: number,
): object {
  const parsed = parseQuery(line)
  if ('error' in parsed) return parsed
  const query = Buffer.from(parsed.text)
  if (query.length > 1_000_000) return { id: parsed.id, error: 'text: longer than 1 MB' }
  const started = performance.now()
  if (kind === 'count') {
    if (query.length === 0) return { id: parsed.id, error: 'text: the empty pattern occurs everywhere' }
    return { id: parsed.id, count: shards.reduce((sum, shard) => sum + shard.count(query), 0) }
  }
  const spans = mergeSpans(
    shards.map((shard) => shard.spans(query, { minLength, maxOwners })),
    maxOwners,
  )
  return { id: parsed.id, spans, ms: performance.now() - started }
}

function parseQuery(line: string): { id: string; text: string } | { id: string | null; error: string } {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return { id: null, error: 'not JSON' }
  }
  const { id, text } = (value ?? {}) as { id?: unknown; text?: unknown }
  if (typeof id !== 'string') return { id: null, error: 'id: must be a string' }
  if (typeof text !== 'string') return { id, error: 'text: must be a string' }
  return text.isWellFormed() ? { id, text } : { id, error: 'text: holds half of a surrogate pair' }
}

async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pending: Buffer[] = []
  for await (const chunk of stream) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      pending.push(chunk.subarray(from, end))
      yield Buffer.concat(pending).toString('utf8')
      pending = []
      from = end + 1
    }
    if (from < chunk.length) pending.push(chunk.subarray(from))
  }
  if (pending.length > 0) yield Buffer.concat(pending).toString('utf8')
}

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

function refuse(message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = 1
}
