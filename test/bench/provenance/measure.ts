import { execFile } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { CLASSES, type QueryClass, type Workload } from './workload.ts'

const run = promisify(execFile)

interface Built {
  indexBytes: number
  cpuSeconds: number
  peakRssBytes: number
}
type Command = [command: string, ...args: string[]]

/** How an engine is started; each command is a process of its own, so that its memory is its own. */
export interface Engine {
  build: (rowsFile: string, index: string) => Command[]
  query: (rowsFile: string, index: string, files: string[]) => Command
}

interface Latency {
  p50: number
  p95: number
}
export interface Measured {
  bytesPerByte: number
  buildMbPerCpuSecond: number
  buildPeakBytesPerByte: number
  openSeconds: number
  /** Of the process that queries: the index, the program and its runtime. */
  residentBytes: number
  countUs: { mean: number; p50: number; p95: number }
  /** Milliseconds for the spans of one output, with owners. */
  spansMs: Record<QueryClass, Latency>
}
/** Answers in the order of the queries, told without owners (`ranges`) and with them. */
export interface Answers {
  counts: number[]
  ranges: string[]
  owned: string[]
}

type Line = { file: string; ms: number; count?: number; spans?: [number, number, number?, number[]?][] }

export const measure = async (
  engine: Engine,
  { rowsFile, corpusBytes, queries }: Workload,
  index: string,
): Promise<{ measured: Measured; answers: Answers }> => {
  const builds = await built(engine, rowsFile, index)
  const files = [...CLASSES.map((name) => queries[name]), queries.counts]
  const printed = await lines(engine.query(rowsFile, index, files))
  const answered = printed.filter((line): line is Line => 'file' in line)
  const times = (file: string) => answered.filter((line) => line.file === file).map(({ ms }) => ms)
  const counts = times(queries.counts).map((ms) => ms * 1000)
  const spans = answered.flatMap((line) => (line.spans ? [line.spans] : []))
  const indexBytes = builds.at(-1)!.indexBytes
  const cpuSeconds = builds.reduce((sum, build) => sum + build.cpuSeconds, 0)
  return {
    measured: {
      bytesPerByte: indexBytes / corpusBytes,
      buildMbPerCpuSecond: corpusBytes / 1e6 / cpuSeconds,
      buildPeakBytesPerByte: Math.max(...builds.map((build) => build.peakRssBytes)) / corpusBytes,
      openSeconds: (printed[0] as { openSeconds: number }).openSeconds,
      residentBytes: (printed.at(-1) as { peakRssBytes: number }).peakRssBytes,
      countUs: { mean: mean(counts), ...latency(counts) },
      spansMs: Object.fromEntries(CLASSES.map((name) => [name, latency(times(queries[name]))])) as Measured['spansMs'],
    },
    answers: {
      counts: answered.flatMap(({ count }) => (count === undefined ? [] : [count])),
      ranges: spans.map((list) => list.map(([start, end]) => `${start}-${end}`).join(' ')),
      owned: spans.map((list) => list.map(([start, end, count, owners]) => owned(start, end, count, owners)).join(' ')),
    },
  }
}

/** What an earlier run built and kept beside the index is not built again. */
const built = async (engine: Engine, rowsFile: string, index: string): Promise<Built[]> => {
  const told = `${index}.built.json`
  if (existsSync(told)) return JSON.parse(readFileSync(told, 'utf8'))
  const builds: Built[] = []
  for (const command of engine.build(rowsFile, index)) builds.push((await lines(command)).at(-1) as Built)
  writeFileSync(`${told}.new`, JSON.stringify(builds))
  renameSync(`${told}.new`, told)
  return builds
}

/** Owners are compared where all of them are named; among more, which are named is the engine's choice. */
const owned = (start: number, end: number, count?: number, owners: number[] = []): string =>
  `${start}-${end}:${count}${count === owners.length ? `(${[...owners].sort((a, b) => a - b)})` : ''}`

/** Answers that differ between two engines. */
export const disagreements = (ours: Answers, theirs: Answers, owners: boolean): number => {
  const differ = <Item>(a: Item[], b: Item[]) =>
    a.filter((item, i) => item !== b[i]).length + Math.abs(a.length - b.length)
  return (
    differ(ours.counts, theirs.counts) +
    (owners ? differ(ours.owned, theirs.owned) : differ(ours.ranges, theirs.ranges))
  )
}

const lines = async ([command, ...args]: Command): Promise<object[]> => {
  process.stderr.write(
    `  ${[command.split('/').at(-1), ...args.map((arg) => arg.split('/').at(-1))].join(' ').slice(0, 100)}\n`,
  )
  const { stdout } = await run(command, args, { maxBuffer: 1 << 30, env: { ...process.env, OMP_NUM_THREADS: '1' } })
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
}

const latency = (values: number[]): Latency => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1]!
  return { p50: at(0.5), p95: at(0.95) }
}
const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length
