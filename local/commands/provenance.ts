import { existsSync, readdirSync, statSync } from 'node:fs'
import { isAbsolute, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ProvenanceError, type ProvenanceIndex } from '../../functions/attribution/provenance/index.ts'
import { answerQueries, countOf, spansOf } from './provenance/answer-queries.ts'
import { buildFolder, UNFINISHED } from './provenance/build-folder.ts'
import { openFolder } from './provenance/index-folder.ts'
import { RowRefused } from './provenance/rows-file.ts'

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
else if (verb === 'spans' || verb === 'count') await answer(verb)
else usage(`there is no command ${verb}`)

async function build(): Promise<void> {
  if (!options.rows || !options.out) usage('--rows and --out are needed')
  const out = resolve(options.out!)
  const inside = relative(out, resolve(options.rows!))
  if (!/^\.\.([\\/]|$)/.test(inside) && !isAbsolute(inside))
    return refuse(`--out ${options.out} holds --rows: it would be replaced with the index`)
  if (existsSync(out)) {
    if (!statSync(out).isDirectory()) return refuse(`--out ${options.out} is no folder`)
    if (readdirSync(out).some((name) => name !== UNFINISHED) && !options.force)
      return refuse(`${options.out} is not empty: choose another folder or say --force`)
  }
  const started = performance.now()
  try {
    const built = await buildFolder(options.rows!, out, (line) => process.stderr.write(`${line}\n`))
    const seconds = (performance.now() - started) / 1000
    const peakRssBytes = process.resourceUsage().maxRSS * 1024
    process.stdout.write(`${JSON.stringify({ ...built, seconds, peakRssBytes })}\n`)
  } catch (error) {
    refuseOrThrow(error)
  }
}

async function answer(kind: 'spans' | 'count'): Promise<void> {
  if (!options.index) usage('--index is needed')
  const minLength = whole('min-length', 1)
  const maxOwners = whole('max-owners', 0)
  // Whoever read our answers went away: nobody is left to be told.
  process.stdout.on('error', () => process.exit(1))
  let shards: ProvenanceIndex[]
  try {
    shards = openFolder(options.index!)
  } catch (error) {
    return refuse((error as Error).message)
  }
  const reply = kind === 'count' ? countOf(shards) : spansOf(shards, minLength, maxOwners)
  await answerQueries(process.stdin, process.stdout, reply)
}

function refuseOrThrow(error: unknown): void {
  if (error instanceof RowRefused || error instanceof ProvenanceError || (error as NodeJS.ErrnoException).syscall)
    refuse((error as Error).message)
  else throw error
}

function refuse(message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = 1
}
