import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../processes/run.ts'

export const TORCH = '2.13.0'
/** Where PyTorch itself publishes the commands of its builds, and with them the address of its CPU index. */
const PYTORCH_PAGE = 'https://pytorch.org/get-started/previous-versions/'
/** Packages that only a CUDA build asks for. They weigh gigabytes and help nobody on a laptop. */
const CUDA = /^(nvidia|cuda|triton)/i

/** The build of torch that pip would install can only be a CUDA build, and no CPU build was reached. */
export class NoCpuTorch extends Error {
  constructor(python: string, index: string | undefined, tried: string) {
    super(
      `pip would install the CUDA build of torch ${TORCH} (several gigabytes), and its CPU build could not be had ` +
        `from ${index ?? 'the index that pip uses'}: ${tried}\n` +
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
export async function installTorch(
  python: string,
  onLine: (line: string) => void,
  publishedIndex: () => Promise<string | undefined> = cpuIndex,
): Promise<void> {
  const pip = (args: string[]) =>
    run(python, ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', ...args], { onLine })
  const local = await wouldInstall(python, `torch==${TORCH}+cpu`).catch(() => undefined)
  if (local) return void (await pip(['--no-deps', `torch==${TORCH}+cpu`]))
  const plain = await wouldInstall(python, `torch==${TORCH}`)
  if (!plain.some((name) => CUDA.test(name))) return void (await pip(['--no-deps', `torch==${TORCH}`]))
  const index = process.env['OPENLEDGER_TORCH_INDEX'] ?? (await publishedIndex())
  if (!index)
    throw new NoCpuTorch(python, undefined, 'OPENLEDGER_TORCH_INDEX is not set, and pytorch.org was not reached')
  onLine(`the default build of torch needs CUDA: taking the CPU build from ${index}`)
  try {
    await pip(['--no-deps', `torch==${TORCH}+cpu`, '--index-url', index])
  } catch (error) {
    throw new NoCpuTorch(python, index, (error as Error).message.split('\n').at(-2) ?? 'no answer')
  }
}

/** PyTorch's index of CPU builds, as its own page names it: this repository names no registry. */
export async function cpuIndex(read: typeof fetch = fetch): Promise<string | undefined> {
  const page = await read(PYTORCH_PAGE, { signal: AbortSignal.timeout(20_000) })
    .then((reply) => (reply.ok ? reply.text() : ''))
    .catch(() => '')
  return /--index-url\s+(https:\/\/(?:[\w-]+\.)*pytorch\.org\/whl\/cpu)(?![\w/.-])/.exec(page)?.[1]
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
