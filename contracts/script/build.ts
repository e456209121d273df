/** Compiles the contracts with forge (npm binaries; npm `solc` behind tools/solc.cjs) and writes contracts/abi/*.json. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const CONTRACTS = fileURLToPath(new URL('..', import.meta.url))
const BINARIES = join(CONTRACTS, '..', 'node_modules', '.bin')

/** Contracts that get deployed or called. */
export const NAMES = [
  'OpenToken',
  'WrappedOpen',
  'OpenTimelock',
  'Settlement',
  'InferenceEscrow',
  'DatanetRegistry',
  'ModelRegistry',
] as const
export type ContractName = (typeof NAMES)[number]

/** What deploy needs of forge's output. Immutables: offsets in the runtime code that the constructor fills in. */
export interface Artefact {
  abi: unknown[]
  bytecode: { object: string }
  deployedBytecode: { object: string; immutableReferences?: Record<string, { start: number; length: number }[]> }
}

const artefactFile = (file: string, name: string) => join(CONTRACTS, 'out', file, `${name}.json`)

/** Reads one compiled contract by its file. @throws Error when forge has not built it */
export function artefactOf(file: string, name: string): Artefact {
  return JSON.parse(readFileSync(artefactFile(file, name), 'utf8'))
}

/** Reads one contract of ours. @throws Error when forge has not built it */
export function artefact(name: ContractName): Artefact {
  return artefactOf(`${name}.sol`, name)
}

/** Runs `forge build` on src (incremental; about 5 s cold), on request on the tests too. @throws Error with forge's output */
export function build({ tests = false } = {}): void {
  // forge resolves the compiler's path against its working folder, not against --root.
  const args = ['build', '--root', '.', ...(tests ? [] : ['--skip', 'test']), '--skip', 'script']
  const env = {
    ...process.env,
    PATH: `${BINARIES}${delimiter}${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  }
  const done = spawnSync(join(BINARIES, 'forge'), args, { cwd: CONTRACTS, env, encoding: 'utf8' })
  if (done.status !== 0 || /^Error/m.test(done.stderr))
    throw new Error(`forge build failed: ${done.error?.message ?? done.stdout + done.stderr}`)
}

export function buildIfMissing(): void {
  if (!NAMES.every((name) => existsSync(artefactFile(`${name}.sol`, name)))) build()
}

/** Writes the interfaces that other rooms may read. */
export function exportAbi(): string[] {
  const folder = join(CONTRACTS, 'abi')
  mkdirSync(folder, { recursive: true })
  for (const name of NAMES) writeFileSync(join(folder, `${name}.json`), abiText(name))
  return NAMES.map((name) => `contracts/abi/${name}.json`)
}

/** Committed text of a contract's ABI: one entry a line, so that a change shows as a line. */
export function abiText(name: ContractName): string {
  return `[\n${artefact(name)
    .abi.map((entry) => `  ${JSON.stringify(entry)}`)
    .join(',\n')}\n]\n`
}

if (import.meta.main) {
  if (process.argv.length > 2) {
    process.stderr.write('usage: node contracts/script/build.ts   compiles and writes contracts/abi\n')
    process.exit(process.argv.includes('--help') ? 0 : 2)
  }
  build()
  process.stdout.write(`${JSON.stringify({ abi: exportAbi() })}\n`)
}
