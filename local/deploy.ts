import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Emulator } from './emulator/emulator.ts'
import { nodeModulesBin, repository } from './paths.ts'
import { run } from './processes/run.ts'

export interface DeployOptions {
  emulator: Emulator
  /** Folder for the cloud assembly, so that a person's own cdk.out stays as it is. */
  outDir: string
  /** `-c key=value` for the app; nested values go as JSON. */
  context?: Record<string, string>
  /** Another app than the repository's own (tests). */
  app?: string
  onLine?: (line: string) => void
}

/** The outputs of the deployed stack, by name. */
export type StackOutputs = Record<string, string>

/**
 * `cdk bootstrap`, as a customer types it: once for an account and region. It runs in a folder without an app, which
 * it would otherwise synthesise for nothing.
 */
export async function bootstrap(options: DeployOptions): Promise<void> {
  await cdk(options, ['bootstrap', `aws://000000000000/${options.emulator.region}`], options.outDir)
}

/** `cdk deploy`, unmodified: only the endpoint and the credentials in the environment differ. */
export async function deploy(options: DeployOptions): Promise<StackOutputs> {
  const context = Object.entries(options.context ?? {}).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  const app = options.app ? ['--app', options.app] : []
  const outputs = join(options.outDir, 'outputs.json')
  const quiet = ['--require-approval', 'never', '--progress', 'events', '--outputs-file', outputs]
  const places = ['--output', join(options.outDir, 'app')]
  await cdk(options, ['deploy', '--all', ...app, ...context, ...quiet, ...places], repository)
  const byStack = JSON.parse(await readFile(outputs, 'utf8')) as Record<string, StackOutputs>
  return Object.assign({}, ...Object.values(byStack))
}

async function cdk(options: DeployOptions, args: string[], cwd: string): Promise<void> {
  await mkdir(options.outDir, { recursive: true })
  const env = { ...options.emulator.env, CI: 'true' }
  await run(join(nodeModulesBin, 'cdk'), args, { cwd, env, onLine: options.onLine ?? (() => {}) })
}

/** Where the embedded AWS answers a REST API: path style, since no name server knows its host names. */
export function apiUrl(endpoint: string, apiId: string, stage: string): string {
  return `${endpoint}/_aws/execute-api/${apiId}/${stage}`
}
