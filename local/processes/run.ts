import { spawn } from 'node:child_process'

/** A command that ended with another code than 0. `output` holds the end of what it printed. */
export class CommandFailed extends Error {
  readonly output: string
  readonly code: number | null
  constructor(command: string, code: number | null, output: string) {
    super(`${command} ended with code ${code}\n${output}`)
    this.name = 'CommandFailed'
    this.code = code
    this.output = output
  }
}

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Every line of standard output and error, as it comes. */
  onLine?: (line: string) => void
  signal?: AbortSignal
}

const KEPT_CHARACTERS = 8_000

/** Runs a command to its end; resolves with its standard output, or throws CommandFailed. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: options.signal,
    })
    const killWithUs = () => child.kill()
    process.once('exit', killWithUs)
    let out = ''
    let all = ''
    const lines = { stdout: '', stderr: '' }
    const take = (kind: 'stdout' | 'stderr') => (chunk: string) => {
      if (kind === 'stdout') out += chunk
      all = (all + chunk).slice(-KEPT_CHARACTERS)
      const parts = (lines[kind] + chunk).split(/\r?\n/)
      lines[kind] = parts.pop() ?? ''
      for (const line of parts) options.onLine?.(line)
    }
    child.stdout.setEncoding('utf8').on('data', take('stdout'))
    child.stderr.setEncoding('utf8').on('data', take('stderr'))
    child.once('error', reject)
    child.once('close', (code) => {
      process.removeListener('exit', killWithUs)
      if (code === 0) resolve(out)
      else reject(new CommandFailed([command, ...args].join(' '), code, all))
    })
  })
}
