import { run } from '../processes/run.ts'
import { installCommand, MissingOnThisMachine } from './missing.ts'

/** An interpreter that can make the environment: Python >= 3.10 with the venv and ensurepip modules. */
export interface Interpreter {
  command: string
  version: string
}

const CANDIDATES = ['python3.13', 'python3.12', 'python3.11', 'python3.14', 'python3.10', 'python3', 'python']
const OLDEST = [3, 10] as const
const PROBE =
  'import sys\nok=1\ntry:\n import venv, ensurepip\nexcept ImportError:\n ok=0\nprint(*sys.version_info[:3], ok)'

/**
 * The first usable interpreter of PATH, or MissingOnThisMachine with the command that installs what is missing.
 * @param candidates names or paths, in order; OPENLEDGER_PYTHON goes first
 */
export async function findInterpreter(candidates: readonly string[] = CANDIDATES): Promise<Interpreter> {
  const own = process.env['OPENLEDGER_PYTHON']
  let withoutVenv: string | undefined
  let old: string | undefined
  for (const command of own ? [own] : candidates) {
    const answer = await run(command, ['-c', PROBE]).catch(() => undefined)
    if (answer === undefined) continue
    const [major = 0, minor = 0, patch = 0, venv] = answer.trim().split(' ').map(Number)
    const version = `${major}.${minor}.${patch}`
    if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) old ??= version
    else if (!venv) withoutVenv ??= `${major}.${minor}`
    else return { command, version }
  }
  if (withoutVenv) {
    const packages = `python${withoutVenv}-venv`
    throw new MissingOnThisMachine(
      `Python ${withoutVenv} is here, but without its venv module.`,
      installCommand(packages, `brew install python@${withoutVenv}`),
    )
  }
  throw new MissingOnThisMachine(
    `Python >= 3.10 is needed for training and serving models${old ? `; this machine has ${old}` : ''}.`,
    installCommand('python3 python3-venv', 'brew install python@3.12'),
  )
}
