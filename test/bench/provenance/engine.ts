import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { IndexBuilder, openIndex } from '../../../functions/attribution/provenance/index.ts'
import { ROW_END } from './corpora.ts'
import { readQueries } from './workload.ts'

/** Our engine as the peers run: a process that builds, and one that queries. `engine.ts build ROWS INDEX | query INDEX FILE...` */
const [verb, ...files] = process.argv.slice(2)
const MIN_LENGTH = 32
const MAX_OWNERS = 16
const print = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`)

/** Rows as they are read: the file is not held. */
function* rowsOf(path: string): Generator<{ id: string; text: string }> {
  const file = openSync(path, 'r')
  const piece = Buffer.alloc(1 << 20)
  let number = 0
  let begun: Buffer = Buffer.alloc(0)
  for (let bytes = readSync(file, piece); bytes > 0; bytes = readSync(file, piece)) {
    let at = 0
    for (let end = piece.indexOf(ROW_END); end >= 0 && end < bytes; end = piece.indexOf(ROW_END, at)) {
      yield { id: String(number++), text: Buffer.concat([begun, piece.subarray(at, end)]).toString('utf8') }
      begun = Buffer.alloc(0)
      at = end + 1
    }
    begun = Buffer.concat([begun, piece.subarray(at, bytes)])
  }
  closeSync(file)
}

if (verb === 'build') {
  const before = process.cpuUsage()
  const builder = new IndexBuilder()
  for (const row of rowsOf(files[0]!)) builder.add(row)
  const index = builder.finish()
  const { user, system } = process.cpuUsage(before)
  writeFileSync(files[1]!, index)
  print({
    indexBytes: index.byteLength,
    cpuSeconds: (user + system) / 1e6,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  })
} else {
  const started = performance.now()
  const index = openIndex(readFileSync(files[0]!))
  print({ openSeconds: (performance.now() - started) / 1000 })
  for (const file of files.slice(1)) {
    const queries = readQueries(readFileSync(file))
    const counts = file.endsWith('counts.queries')
    const ask = (query: Buffer) =>
      counts
        ? { count: index.count(query) }
        : {
            spans: index
              .spans(query, { minLength: MIN_LENGTH, maxOwners: MAX_OWNERS })
              .map(({ start, end, owners, ownerCount }) => [start, end, ownerCount, owners.map(Number)]),
          }
    for (const query of queries.slice(0, 8)) ask(query) // warm
    for (const query of queries) {
      const from = performance.now()
      const answer = ask(query)
      print({ file, ms: performance.now() - from, ...answer })
    }
  }
  print({ peakRssBytes: process.resourceUsage().maxRSS * 1024 })
}
