import { spawn } from 'node:child_process'
import { venvPython, withTools } from '../paths.ts'
import { createProgress } from '../setup/progress.ts'
import { ensureSetup } from '../setup/setup.ts'

export interface PythonCommand {
  module: string
  args: readonly string[]
  env?: NodeJS.ProcessEnv
}

/** Runs a Python module of an image in our terminal, set-up done before, and leaves with its exit code. */
export async function runPython(command: PythonCommand): Promise<never> {
  try {
    await ensureSetup({ python: true, progress: createProgress() })
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(1)
  }
  const child = spawn(venvPython, ['-m', command.module, ...command.args], {
    stdio: 'inherit',
    env: { ...withTools(), ...command.env, PYTHONUNBUFFERED: '1' },
  })
  // Ctrl-C reaches the child through the terminal, where there is one; we wait for what it makes of it.
  const atTerminal = [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY)
  process.on('SIGINT', () => {
    if (!atTerminal) child.kill('SIGINT')
  })
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const code = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(1))
    child.once('close', (exit, signal) => resolve(exit ?? (signal === 'SIGINT' ? 130 : 143)))
  })
  process.exit(code)
}

/** Wrong usage: the reason and the help on standard error, exit code 2. */
export function refuse(reason: string, help: string): never {
  process.stderr.write(`${reason}\n\n${help}`)
  process.exit(2)
}
