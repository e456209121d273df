import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { repository, venvPython, withTools } from '../local/paths.ts'
import { createProgress } from '../local/setup/progress.ts'
import { ensureSetup } from '../local/setup/setup.ts'

/**
 * `npm test`: every suite of every language on two cores, and one closing line with the sum. The images' suites, which keep one
 * core busy, run beside the others; the whole loop runs alone. Every line says whose it is.
 * `npm test -- unit` (or lint, infra, integration, e2e, python, contracts) runs one of them.
 */
interface Count {
  passed: number
  failed: number
  /** Which tests failed, where the suite tells: they are said again at the end. */
  names?: string[]
}
interface VitestReport {
  numPassedTests: number
  numFailedTests: number
  testResults: { assertionResults: { status: string; fullName: string }[] }[]
}
const results = mkdtempSync(join(tmpdir(), 'openledger-test-'))
/** What the tests leave in their temporary folders (synthesised stacks, state of platforms that were killed) goes with the run. */
const scratch = join(results, 'scratch')
mkdirSync(scratch)
const only = process.argv.slice(2)

/** Runs a command; its lines appear behind the name of the suite. */
const run = (name: string, command: string, args: string[], cwd: string): Promise<{ code: number; output: string }> =>
  new Promise((resolve, reject) => {
    const env = { ...withTools(), OMP_NUM_THREADS: '1', TOKENIZERS_PARALLELISM: 'false', CI: '1', TMPDIR: scratch }
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 1_200_000 })
    let output = ''
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ] as const) {
      createInterface({ input: from }).on('line', (line) => {
        output += `${line}\n`
        if (line.trim() !== '') to.write(`${name} | ${line}\n`)
      })
    }
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })

const vitest = (project: string) => async (): Promise<Count> => {
  const file = join(results, `${project}.json`)
  const { code } = await run(
    project,
    'vitest',
    ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
    repository,
  )
  const report: VitestReport = JSON.parse(readFileSync(file, 'utf8'))
  const failed = report.numFailedTests + (code !== 0 && report.numFailedTests === 0 ? 1 : 0)
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults)
  const names = tests.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName)
  return { passed: report.numPassedTests, failed, names }
}

/** Counts come from the JUnit report: what pytest prints depends on each image's own options. */
const pytest =
  (...folders: string[]) =>
  async (name: string): Promise<Count> => {
    const file = join(results, `${name.replaceAll(' ', '-')}.xml`)
    const { code } = await run(
      name,
      venvPython,
      ['-m', 'pytest', '-q', '--no-header', '-p', 'no:cacheprovider', `--junitxml=${file}`, ...folders],
      repository,
    )
    const report = existsSync(file) ? readFileSync(file, 'utf8') : ''
    const count = (name: string) => Number(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`).exec(report)?.[1] ?? 0)
    const failed = count('failures') + count('errors')
    const passed = count('tests') - failed - count('skipped')
    const names = [...report.matchAll(/<testcase [^>]*\bname="([^"]+)"[^>]*><(?:failure|error)/g)].map(
      ([, name]) => name ?? '',
    )
    return { passed, failed: failed + (failed === 0 && (code !== 0 || passed === 0) ? 1 : 0), names }
  }

/** The npm wrapper of forge exits 0 whatever happens: without its closing line nothing was built or run. */
const forge = async (): Promise<Count> => {
  const { code, output } = await run('contracts', 'forge', ['test'], join(repository, 'contracts'))
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
  const closing = /(\d+) tests passed, (\d+) failed/.exec(output.replace(/\u001b\[\d+m/g, ''))
  if (!closing) return { passed: 0, failed: 1 }
  const [passed, failed] = [Number(closing[1]), Number(closing[2])]
  return { passed, failed: failed + (code !== 0 && failed === 0 ? 1 : 0) }
}

/** Formats, types, one-way doors, unused code: one check that stands or falls. */
const lint = async (): Promise<Count> => {
  const { code } = await run('lint', 'npm', ['run', '--silent', 'lint'], repository)
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

type Suite = [name: string, group: string, suite: (name: string) => Promise<Count>]
/** Lanes run beside each other, and what is in one of them one after another; then comes the next stage. */
const stages: Suite[][][] = [
  [
    [
      ['lint', 'lint', lint],
      ['unit', 'unit', vitest('unit')],
      ['infra', 'infra', vitest('infra')],
      ['contracts', 'contracts', forge],
      ['integration', 'integration', vitest('integration')],
    ],
    [
      ['embedded AWS', 'python', pytest('local/emulator/tests', 'local/python/tests')],
      ['fine-tune image', 'python', pytest('gpu-images/fine-tune/tests')],
      ['OpenLoRA image', 'python', pytest('gpu-images/open-lora/tests')],
      ['influence image', 'python', pytest('gpu-images/influence/tests')],
    ],
  ],
  [[['e2e', 'e2e', vitest('e2e')]]],
]

await ensureSetup({ python: true, contracts: true, progress: createProgress() })
const total: Count = { passed: 0, failed: 0 }
const lines: string[] = []
const inTurn = async (lane: Suite[]): Promise<void> => {
  for (const [name, group, suite] of lane) {
    if (only.length > 0 && !only.includes(group)) continue
    const started = Date.now()
    process.stderr.write(`\n== ${name}\n`)
    const { passed, failed, names = [] } = await suite(name)
    total.passed += passed
    total.failed += failed
    lines.push(
      `${name.padEnd(16)} ${String(passed).padStart(4)} passed ${String(failed).padStart(3)} failed ${((Date.now() - started) / 1000).toFixed(0).padStart(5)} s`,
      ...names.map((test) => `  failed: ${test}`),
    )
  }
}
for (const lanes of stages) await Promise.all(lanes.map(inTurn))
rmSync(scratch, { recursive: true, force: true, maxRetries: 5 })
process.stdout.write(`\n${lines.join('\n')}\n${total.passed} passed, ${total.failed} failed\n`)
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0)
