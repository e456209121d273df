import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { KERNEL } from '../../functions/attribution/provenance/kernel/kernel-bytes.ts'
import { type CorpusName, cache, corpus } from './provenance/corpora.ts'
import { loadSeconds } from './provenance/load.ts'
import { disagreements, measure } from './provenance/measure.ts'
import { ours, peers } from './provenance/peers.ts'
import { type Figures, reach } from './provenance/reach.ts'
import { workload } from './provenance/workload.ts'

const HELP = `usage: npm run bench:provenance [-- --quick --keep --seed N --corpora english,mixed]

The provenance index beside an sdsl FM-index with the same search, infini-gram and a plain suffix array, in this run, on
40 MB of English and 280 MB of documentation and source out of Debian packages (apt-get download; kept in
.openledger-bench/). Answers of all engines are compared; one that differs ends the run with 1. A peer that cannot be had
is reported as absent. --quick takes 4 MB of the English. --keep leaves the indexes and what building them took in
.openledger-bench/indexes, and a run with --keep takes those that lie there: building is long, queries want a quiet machine.
`
const usage = (message: string): never => {
  process.stderr.write(`${message}\n\n${HELP}`)
  process.exit(2)
}
const options = (() => {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        seed: { type: 'string', default: '7' },
        corpora: { type: 'string', default: 'english,mixed' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    return values
  } catch (error) {
    return usage((error as Error).message)
  }
})()
if (options.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
if (!/^\d{1,9}$/.test(options.seed)) usage('--seed takes a number')
const SIZES: Record<CorpusName, number> = { english: 40_000_000, mixed: 280_000_000 }
const asked = options.corpora.split(',')
if (!asked.every((name) => name in SIZES)) usage('--corpora takes english, mixed or both')
const names = (options.quick ? ['english'] : asked) as CorpusName[]
const seed = Number(options.seed)
/** Names our code's kernel, so that no index of another one is taken for its own. */
const code = createHash('sha256').update(KERNEL).digest('hex').slice(0, 8)
/** Outputs of each class: infini-gram needs seconds for some, so it sets the number. */
const QUERIES = options.quick ? 20 : 40

const folder = options.keep ? join(cache, 'indexes') : mkdtempSync(join(tmpdir(), 'openledger-provenance-'))
const figures: Partial<Record<CorpusName, Figures>> = {}
let differing = 0
try {
  for (const name of names) figures[name] = await benchCorpus(name, options.quick ? 4_000_000 : SIZES[name])
} finally {
  if (!options.keep) rmSync(folder, { recursive: true, force: true })
}

async function benchCorpus(name: CorpusName, bytes: number): Promise<Figures> {
  process.stderr.write(`${name}: ${bytes} bytes\n`)
  const { text, packages } = corpus(name, bytes)
  const place = join(folder, `${name}-${bytes}-${seed}`)
  const work = workload(text, place, seed, QUERIES)
  const mine = join(place, `ours-${code}`)
  const { measured, answers } = await measure(ours, work, mine)
  const found: Figures = {
    corpus: { packages, bytes: work.corpusBytes, rows: work.rows, outputs: QUERIES },
    ours: measured,
    peers: {},
    floors:
      bytes > 100_000_000 ? { bzip2: floor('bzip2', work) } : { xz: floor('xz', work), bzip2: floor('bzip2', work) },
    load: null,
  }
  for (const peer of peers) {
    const index = join(place, `peer-${Object.keys(found.peers).length}`)
    try {
      const theirs = await measure(await peer.install(), work, index)
      const different = disagreements(answers, theirs.answers, peer.owners)
      if (different > 0) process.stderr.write(`  ${different} answers of ${peer.name} differ from ours\n`)
      differing += different
      found.peers[peer.name] = { ...theirs.measured, different }
    } catch (error) {
      const why = (error as Error).message.trim().split('\n').at(-1)!
      process.stderr.write(`  absent: ${peer.name}: ${why}\n`)
      found.peers[peer.name] = { absent: why }
    }
    if (!options.keep) rmSync(index, { recursive: true, force: true })
  }
  found.load = await loadSeconds(readFileSync(mine), place).catch((error: Error) => ({
    absent: error.message,
  }))
  return found
}

/** What a general compressor at its strongest needs, bytes per corpus byte; null where it is not installed. */
function floor(command: 'xz' | 'bzip2', work: { rowsFile: string; corpusBytes: number }): number | null {
  try {
    return execFileSync(command, ['-9', '-k', '-c', work.rowsFile], { maxBuffer: 1 << 30 }).length / work.corpusBytes
  } catch {
    return null
  }
}

const cpu = cpus()
process.stdout.write(
  `${JSON.stringify({
    name: 'provenance',
    seed,
    quick: options.quick,
    machine: { cpu: cpu[0]?.model ?? 'unknown', cores: cpu.length, gpu: null },
    ours: Object.fromEntries(
      Object.entries(figures).map(([name, { peers: _, ours: measured, ...rest }]) => [name, { ...rest, ...measured }]),
    ),
    peers: Object.fromEntries(
      peers.map(({ name: peer }) => [
        peer,
        Object.fromEntries(Object.entries(figures).map(([name, found]) => [name, found.peers[peer]])),
      ]),
    ),
    reach: reach(figures, options.quick),
  })}\n`,
)
if (differing > 0) process.exitCode = 1
