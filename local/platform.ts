import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Checkpoints } from './checkpoints.ts'
import { apiUrl } from './deploy.ts'
import { type Emulator, startEmulator, stateFolder } from './emulator/emulator.ts'
import { type Chain, startChain } from './l2.ts'
import { lockFolder } from './lock.ts'
import { rememberedPorts } from './processes/ports.ts'
import type { Progress } from './setup/progress.ts'
import { ensureSetup } from './setup/setup.ts'
import { type Deployed, deployProduct, upToDate } from './stack.ts'

/** The whole product, running on this machine. */
export interface Platform {
  readonly dir: string
  readonly emulator: Emulator
  readonly chain: Chain
  readonly deployed: Deployed
  readonly api: { baseUrl: string; openaiBaseUrl: string }
  readonly checkpoints: Checkpoints
  /** Resolves with a reason when a part of the platform ended by itself. */
  readonly broken: Promise<string>
  stop(): Promise<void>
}

/**
 * Set-up, embedded AWS, L2 and the deployed stack, on the state that `dir` holds. Whatever was started is stopped
 * again when a later step fails.
 * @param onStop hears, as early as possible, how to stop what was started (for Ctrl-C in the middle)
 */
export async function startPlatform(
  dir: string,
  progress: Progress,
  onStop: (stop: () => Promise<void>) => void = () => {},
): Promise<Platform> {
  const parts: { stop(): Promise<void> }[] = []
  const stop = async () => {
    for (const part of parts.splice(0).reverse()) await part.stop()
  }
  onStop(stop)
  try {
    await mkdir(join(dir, 'logs'), { recursive: true, mode: 0o700 })
    parts.push({ stop: await lockFolder(dir, join(dir, 'start.pid')) })
    await progress.stage('setup', 'set-up: Python environment and contracts', () =>
      ensureSetup({ python: true, contracts: true, progress }),
    )
    const known = await upToDate(dir)
    const { emulator, chain } = await progress.stage('start', 'embedded AWS and L2', () =>
      startServers(dir, known, parts),
    )
    const deployed =
      known ??
      (await progress.stage('deploy', 'cdk bootstrap, contracts, cdk deploy', () =>
        deployProduct({ dir, emulator, chain, note: progress.note }),
      ))
    const checkpoints = new Checkpoints({ emulator, chain })
    // Stopped before the servers, and written once more after them, while the folder is still ours.
    parts.splice(1, 0, { stop: async () => checkpoints.last() })
    parts.push({ stop: () => checkpoints.stop() })
    checkpoints.start()
    const baseUrl = apiUrl(emulator.endpoint, deployed.outputs['ApiId'] ?? '', stageOf(deployed))
    return {
      dir,
      emulator,
      chain,
      deployed,
      api: { baseUrl, openaiBaseUrl: `${baseUrl}/v1` },
      checkpoints,
      broken: Promise.race([emulator.child, chain.child].map(({ name, exited }) => exited.then(() => `${name} ended`))),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startServers(dir: string, known: Deployed | undefined, parts: { stop(): Promise<void> }[]) {
  const ports = await rememberedPorts(join(dir, 'ports.json'))
  const log = (name: string) => join(dir, 'logs', `${name}.log`)
  const started = await Promise.allSettled([
    startEmulator({ port: ports.aws, stateDir: stateFolder(dir), logFile: log('aws'), iam: known !== undefined }),
    startChain({ port: ports.chain, dir: join(dir, 'chain'), logFile: log('chain') }),
  ])
  for (const one of started) if (one.status === 'fulfilled') parts.push(one.value)
  for (const one of started) if (one.status === 'rejected') throw one.reason
  const [emulator, chain] = started as [PromiseFulfilledResult<Emulator>, PromiseFulfilledResult<Chain>]
  return { emulator: emulator.value, chain: chain.value }
}

/** `https://<id>.execute-api.<region>.amazonaws.com/<stage>/` names the stage. */
function stageOf(deployed: Deployed): string {
  return new URL(deployed.outputs['ApiUrl'] ?? 'https://nowhere/prod/').pathname.split('/')[1] ?? 'prod'
}
