import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { repository } from '../../local/paths.ts'

const HELP = `usage: npm run bench:loop [-- --quick --seed N]

Starts the whole platform in a fresh folder, runs the example and prints the seconds of each stage. The loop has no
peer; its limit is the design's 150 s from the first upload to the last payee paid.
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
try {
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(process.execPath, ['local/start.ts', '--once', '--dir', dir], {
      cwd: repository,
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: 1_200_000,
    })
    child.on('error', reject).on('close', resolve)
  })
  if (code !== 0) process.exit(code ?? 1)
  const { seconds } = JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'))
  const total = seconds.total as number
  process.stdout.write(
    `${JSON.stringify({
      name: 'loop',
      seed: Number(values.seed),
      quick: values.quick,
      machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, gpu: null },
      ours: seconds,
      peers: {},
      reach: [{ figure: 'first upload to last payee paid', value: total, goal: 150, unit: 's', met: total <= 150 }],
    })}\n`,
  )
} finally {
  rmSync(dir, { recursive: true, force: true })
}
