import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../processes/run.ts'

export const TORCH = '2.13.0'
/** Address of PyTorch's index of CPU builds (pytorch.org, "Get started"), or of a mirror; this repository names no registry. */
const CPU_INDEX = process.env['OPENLEDGER_TORCH_INDEX']
/** Packages that only a CUDA build asks for. They weigh gigabytes and help nobody on a laptop. */
const CUDA = /^(nvidia|cuda|triton)/i

/** The build of torch that pip would install can only be a CUDA build, and no CPU build was reached. */
export class NoCpuTorch extends Error {
  constructor(python: string, tried: string) {
    super(
      `pip would install the CUDA build of torch ${TORCH} (several gigabytes), and its CPU build could not be had ` +
        `from ${CPU_INDEX ?? 'the index that pip uses'}: ${tried}\n` +
        `  Install it by hand:  ${python} -m pip install --no-deps torch==${TORCH}+cpu --index-url ADDRESS\n` +
        '  with the address that pytorch.org shows under "Get started" for CPU, or set OPENLEDGER_TORCH_INDEX to it, ' +
        'and start again.',
    )
    this.name = 'NoCpuTorch'
  }
}

/**
 * Installs torch without its dependencies (they are in requirements.txt), and never a CUDA build: what pip would
 * take is asked first, by metadata alone.
 */
export async function installTorch(python: string, onLine: (line: string) => void): Promise<void> {
  const pip = (args: string[]) =>
    run(python, ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', ...args], { onLine })
  const local = await wouldInstall(python, `torch==${TORCH}+cpu`).catch(() => undefined)
  if (local) return void (await pip(['--no-deps', `torch==${TORCH}+cpu`]))
  const plain = await wouldInstall(python, `torch==${TORCH}`)
  if (!plain.some((name) => CUDA.test(name))) return void (await pip(['--no-deps', `torch==${TORCH}`]))
  if (!CPU_INDEX) throw new NoCpuTorch(python, 'OPENLEDGER_TORCH_INDEX is not set')
  onLine('the default build of torch needs CUDA: taking the CPU build from OPENLEDGER_TORCH_INDEX')
  try {
    await pip(['--no-deps', `torch==${TORCH}+cpu`, '--index-url', CPU_INDEX])
  } catch (error) {
    throw new NoCpuTorch(python, (error as Error).message.split('\n').at(-2) ?? 'no answer')
  }
}

/** Names of all packages that pip would install for the requirement. Downloads metadata only. */
async function wouldInstall(python: string, requirement: string): Promise<string[]> {
  const dir = await mkdtemp(join(tmpdir(), 'openledger-torch-'))
  try {
    const report = join(dir, 'report.json')
    await run(python, [
      ...['-m', 'pip', 'install', '--dry-run', '--quiet', '--no-input', '--disable-pip-version-check'],
      ...['--ignore-installed', '--only-binary', ':all:', '--report', report, requirement],
    ])
    const { install } = JSON.parse(await readFile(report, 'utf8')) as { install: { metadata: { name: string } }[] }
    return install.map((item) => item.metadata.name)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
