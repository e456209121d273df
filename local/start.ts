import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { contextOf } from './example/context.ts'
import { runExample } from './example/run.ts'
import { repository } from './paths.ts'
import { type Platform, startPlatform } from './platform.ts'
import { writeRunFile } from './run-file.ts'
import { createProgress, type Progress } from './setup/progress.ts'

const HELP = `usage: npm start -- [--once] [--dir D] [--no-example]

Sets everything up, starts the embedded AWS and the L2, deploys the CDK app, runs the example, prints who was paid and
why, and stays up until Ctrl-C. Nothing listens beyond this machine.

  --once         end after the example
  --dir D        keep state in D (default .openledger); a second start goes on from it
  --no-example   only start the platform
`
const INTERRUPTED = 130

const options = parse()
const progress = createProgress()
let stopping: Promise<void> | undefined
let stopPlatform: () => Promise<void> = async () => {}
let serving = false

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void end(serving ? 0 : INTERRUPTED))

try {
  const platform = await startPlatform(resolve(repository, options.dir), progress, (stop) => {
    stopPlatform = stop
  })
  platform.broken.then((reason) => {
    if (stopping) return
    process.stderr.write(`${reason}; its log is in ${platform.dir}/logs\n`)
    void end(1)
  })
  const file = await writeRunFile(platform, progress.seconds)
  if (options.example) await example(platform, progress)
  process.stdout.write(
    `${JSON.stringify({ api: platform.api, chain: platform.chain.rpcUrl, run: file, seconds: progress.seconds })}\n`,
  )
  if (options.once) await end(0)
  serving = true
  process.stderr.write(
    `\nThe platform is up at ${platform.api.baseUrl}\nPress Ctrl-C to stop it; its state stays in ${platform.dir}.\n`,
  )
} catch (error) {
  if (!stopping) {
    process.stderr.write(`\n${(error as Error).message}\n`)
    await end(1)
  }
}

async function example(platform: Platform, report: Progress): Promise<void> {
  const { table } = await report.stage('example', 'example: data, models, answers, attribution, money', () =>
    runExample(contextOf(platform, report.note), {
      setup: report.seconds['setup'] ?? 0,
      deploy: report.seconds['deploy'] ?? 0,
    }),
  )
  process.stdout.write(`${table}\n`)
}

/** Stops every child in order and leaves. A second signal does not wait: the children end with our pipes. */
function end(code: number): Promise<void> {
  if (stopping) process.exit(INTERRUPTED)
  process.stderr.write('stopping\n')
  stopping = stopPlatform().then(
    () => process.exit(code),
    (error: Error) => {
      process.stderr.write(`${error.message}\n`)
      process.exit(1)
    },
  )
  return stopping
}

function parse(): { once: boolean; dir: string; example: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        once: { type: 'boolean', default: false },
        dir: { type: 'string', default: '.openledger' },
        'no-example': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (!values.help) return { once: values.once, dir: values.dir, example: !values['no-example'] }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`)
    process.exit(2)
  }
  process.stdout.write(HELP)
  process.exit(0)
}
