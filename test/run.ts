import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repository, venvPython, withTools } from '../local/paths.ts'
import { createProgress } from '../local/setup/progress.ts'
import { ensureSetup } from '../local/setup/setup.ts'

/**
 * `npm test`: every suite of every language, one after another on two cores, and one closing line with the sum.
 * `npm test -- unit` (or lint, infra, integration, e2e, python, contracts) runs one of them.
 */
interface Count {
  passed: number
  failed: number
}
const results = mkdtempSync(join(tmpdir(), 'openledger-test-'))
const only = process.argv.slice(2)

const run = (
  command: string,
  args: string[],
  cwd: string,
  capture = false,
): Promise<{ code: number; output: string }> =>
  new Promise((resolve, reject) => {
    const env = { ...withTools(), OMP_NUM_THREADS: '1', TOKENIZERS_PARALLELISM: 'false', CI: '1' }
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
      timeout: 1_200_000,
    })
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk
      process.stdout.write(chunk)
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })

const vitest = (project: string) => async (): Promise<Count> => {
  const file = join(results, `${project}.json`)
  const { code } = await run(
    'vitest',
    ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
    repository,
  )
  const report = JSON.parse(readFileSync(file, 'utf8'))
  const failed = report.numFailedTests + (code !== 0 && report.numFailedTests === 0 ? 1 : 0)
  return { passed: report.numPassedTests, failed }
}

/** Counts come from the JUnit report: what pytest prints depends on each image's own options. */
const pytest =
  (folder: string, ...more: string[]) =>
  async (): Promise<Count> => {
    const file = join(results, `${folder.replaceAll('/', '-')}.xml`)
    const { code } = await run(
      venvPython,
      ['-m', 'pytest', '-q', '--no-header', '-p', 'no:cacheprovider', `--junitxml=${file}`, folder, ...more],
      repository,
    )
    const report = existsSync(file) ? readFileSync(file, 'utf8') : ''
    const count = (name: string) => Number(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`).exec(report)?.[1] ?? 0)
    const failed = count('failures') + count('errors')
    const passed = count('tests') - failed - count('skipped')
    return { passed, failed: failed + (failed === 0 && (code !== 0 || passed === 0) ? 1 : 0) }
  }

/** The npm wrapper of forge exits 0 whatever happens: without its closing line nothing was built or run. */
const forge = async (): Promise<Count> => {
  const { code, output } = await run('forge', ['test'], join(repository, 'contracts'), true)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
  const closing = /(\d+) tests passed, (\d+) failed/.exec(output.replace(/\u001b\[\d+m/g, ''))
  if (!closing) return { passed: 0, failed: 1 }
  const [passed, failed] = [Number(closing[1]), Number(closing[2])]
  return { passed, failed: failed + (code !== 0 && failed === 0 ? 1 : 0) }
}

/** Formats, types, one-way doors, unused code: one check that stands or falls. */
const lint = async (): Promise<Count> => {
  const { code } = await run('npm', ['run', '--silent', 'lint'], repository)
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

const suites: [name: string, group: string, suite: () => Promise<Count>][] = [
  ['lint', 'lint', lint],
  ['unit', 'unit', vitest('unit')],
  ['infra', 'infra', vitest('infra')],
  ['contracts', 'contracts', forge],
  ['embedded AWS', 'python', pytest('local/emulator/tests', 'local/python/tests')],
  ['fine-tune image', 'python', pytest('gpu-images/fine-tune/tests')],
  ['OpenLoRA image', 'python', pytest('gpu-images/open-lora/tests')],
  ['influence image', 'python', pytest('gpu-images/influence/tests')],
  ['integration', 'integration', vitest('integration')],
  ['e2e', 'e2e', vitest('e2e')],
]

await ensureSetup({ python: true, contracts: true, progress: createProgress() })
const total: Count = { passed: 0, failed: 0 }
const lines: string[] = []
for (const [name, group, suite] of suites) {
  if (only.length > 0 && !only.includes(group)) continue
  const started = Date.now()
  process.stderr.write(`\n== ${name}\n`)
  const { passed, failed } = await suite()
  total.passed += passed
  total.failed += failed
  lines.push(
    `${name.padEnd(16)} ${String(passed).padStart(4)} passed ${String(failed).padStart(3)} failed ${((Date.now() - started) / 1000).toFixed(0).padStart(5)} s`,
  )
}
process.stdout.write(`\n${lines.join('\n')}\n${total.passed} passed, ${total.failed} failed\n`)
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0)
