import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { refuse, runPython } from './python-command.ts'

const HELP = `usage: npm run fine-tune -- --job DIR

Runs the training image's entry point on DIR, laid out as SageMaker does:
  DIR/input/config/{hyperparameters,inputdataconfig,resourceconfig}.json
  DIR/input/data/job/job.json  DIR/input/data/rows/*.jsonl  DIR/input/data/base/...
The adapter lands in DIR/model; a failure's reason in DIR/output/failure.
`

function parse(): { job?: string; help?: boolean } {
  try {
    return parseArgs({ options: { job: { type: 'string' }, help: { type: 'boolean', short: 'h' } } }).values
  } catch (error) {
    return refuse((error as Error).message, HELP)
  }
}

const given = parse()
if (given.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
if (!given.job) refuse('--job DIR is required', HELP)
const job = resolve(given.job)
if (!existsSync(job)) refuse(`--job: there is no folder ${given.job}`, HELP)
await runPython({ module: 'fine_tune.train', args: [], env: { SAGEMAKER_BASE_DIR: job } })
