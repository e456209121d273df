import { mkdir } from 'node:fs/promises'
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
  stack?: string
  onLine?: (line: string) => void
}

/** The outputs of the deployed stack, by name. */
export type StackOutputs = Record<string, string>

/**
 * The commands that a customer types, `cdk bootstrap` and `cdk deploy`, unmodified: only the endpoint and the
 * credentials in the environment differ. Bootstrapping again changes nothing and takes two seconds.
 */
export async function deploy(options: DeployOptions): Promise<StackOutputs> {
  const { emulator } = options
  await mkdir(options.outDir, { recursive: true })
  const context = Object.entries(options.context ?? {}).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  const app = options.app ? ['--app', options.app] : []
  const cdk = (args: string[]) =>
    run(join(nodeModulesBin, 'cdk'), [...args, ...app, ...context], {
      cwd: repository,
      env: { ...emulator.env, CI: 'true' },
      onLine: options.onLine ?? (() => {}),
    })
  const environment = `aws://000000000000/${emulator.region}`
  await cdk(['bootstrap', environment, '--output', join(options.outDir, 'bootstrap')])
  const outputs = join(options.outDir, 'outputs.json')
  await cdk([
    'deploy',
    options.stack ?? '--all',
    ...['--require-approval', 'never', '--output', join(options.outDir, 'app'), '--outputs-file', outputs],
    ...['--asset-parallelism', 'true', '--asset-build-concurrency', '2', '--progress', 'events'],
  ])
  const { default: byStack } = (await import(outputs, { with: { type: 'json' } })) as {
    default: Record<string, StackOutputs>
  }
  return Object.assign({}, ...Object.values(byStack))
}

/** Where the embedded AWS answers a REST API: path style, since no name server knows its host names. */
export function apiUrl(endpoint: string, apiId: string, stage: string): string {
  return `${endpoint}/_aws/execute-api/${apiId}/${stage}`
}
