import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { contextOf } from '../../local/example/context.ts'
import { runExample } from '../../local/example/run.ts'
import { startPlatform } from '../../local/platform.ts'
import { createProgress } from '../../local/setup/progress.ts'
import { measureRequests } from './loop/requests.ts'
import { sizesOf } from './loop/sizes.ts'

const HELP = `usage: npm run bench:loop [-- --quick --seed N]

Starts the whole platform in a fresh folder, runs the example, and measures: seconds of each stage, the API's own
milliseconds a request (the whole answer less the same answer asked of the endpoint directly), items written to
DynamoDB an inference, resources of the stack, KB of each bundle, bytes that set-up installs. The loop has no peer;
its limit is the design's 150 s from the first upload to the last payee paid. --quick asks 20 requests in place of 100.
`
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seed: { type: 'string', default: '7' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
const dir = mkdtempSync(join(tmpdir(), 'openledger-loop-'))
const progress = createProgress()
const platform = await startPlatform(dir, progress)
try {
  const stages = { setup: progress.seconds['setup'] ?? 0, deploy: progress.seconds['deploy'] ?? 0 }
  const { seconds } = await runExample(contextOf(platform, progress.note), stages)
  const requests = await progress.stage('requests', 'requests through the API and past it', () =>
    measureRequests(platform, values.quick ? 20 : 100),
  )
  const ours = { ...stages, ...seconds, ...requests, ...(await sizesOf(dir)) }
  const stage = Object.entries({ ...stages, ...seconds }).map(([name, value]) => `${name} ${value.toFixed(1)} s`)
  process.stderr.write(`${stage.join(', ')}\n`)
  const goal = (figure: string, value: number, limit: number, unit: string) => ({
    ...{ figure, value, goal: limit, unit, met: value <= limit },
  })
  const report = {
    name: 'loop',
    seed: Number(values.seed),
    quick: values.quick,
    machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, gpu: null },
    ours,
    peers: {},
    reach: [
      goal('first upload to last payee paid', seconds.total, 150, 's'),
      goal('resources in the stack', ours.resources, 400, ''),
    ],
  }
  await platform.stop()
  process.stdout.write(`${JSON.stringify(report)}\n`)
} finally {
  await platform.stop()
  rmSync(dir, { recursive: true, force: true })
}
