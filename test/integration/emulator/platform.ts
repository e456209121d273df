import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { apiUrl, bootstrap, deploy, type StackOutputs } from '../../../local/deploy.ts'
import { type Emulator, startEmulator } from '../../../local/emulator/emulator.ts'
import { rememberedPorts } from '../../../local/processes/ports.ts'

/** The embedded AWS with the test stack of this folder in it, IAM on. */
export interface TestPlatform {
  emulator: Emulator
  outputs: StackOutputs
  api: string
  /** Stops the emulator and starts it again on the same state. */
  restart(): Promise<void>
  /** The same after kill -9: what was not saved is lost. */
  killAndRestart(): Promise<void>
  close(): Promise<void>
}

export async function startTestPlatform(): Promise<TestPlatform> {
  const dir = await mkdtemp(join(tmpdir(), 'openledger-emulator-'))
  const ports = await rememberedPorts(join(dir, 'ports.json'))
  const start = (iam: boolean) =>
    startEmulator({
      port: ports.aws,
      stateDir: join(dir, 'aws'),
      logFile: join(dir, 'aws.log'),
      imagesDir: join(import.meta.dirname, 'images'),
      iam,
    })
  const emulator = await start(false)
  const outDir = join(dir, 'cdk')
  await bootstrap({ emulator, outDir })
  const outputs = await deploy({ emulator, outDir, app: `node ${join(import.meta.dirname, 'app.ts')}` })
  await emulator.enforceIam(true)
  const platform: TestPlatform = {
    emulator,
    outputs,
    api: apiUrl(emulator.endpoint, outputs['ApiId'] ?? '', 'prod'),
    restart: async () => {
      await platform.emulator.stop()
      platform.emulator = await start(true)
    },
    killAndRestart: async () => {
      process.kill(platform.emulator.child.pid, 'SIGKILL')
      await platform.emulator.child.exited.catch(() => {})
      platform.emulator = await start(true)
    },
    close: async () => {
      await platform.emulator.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
  return platform
}

/** Client settings for the SDKs: the endpoint, path-style buckets, the root's dummy credentials. */
export function clientFor(emulator: Emulator) {
  return {
    endpoint: emulator.endpoint,
    region: emulator.region,
    forcePathStyle: true,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  }
}

/** Asks until `probe` answers with something; fails after `ms`. */
export async function eventually<T>(probe: () => Promise<T | undefined>, ms = 20_000): Promise<T> {
  const deadline = Date.now() + ms
  for (;;) {
    const found = await probe()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`nothing after ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
