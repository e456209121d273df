import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { emulatorPackage, images, venvPython, withTools } from '../paths.ts'
import { type Child, startChild } from '../processes/child.ts'

/** The embedded AWS, running. */
export interface Emulator {
  readonly endpoint: string
  readonly region: string
  readonly child: Child
  /** Environment for the AWS CLI, CDK and SDKs: the endpoint and the root's dummy credentials. */
  readonly env: NodeJS.ProcessEnv
  /** IAM is off while the CDK CLI deploys, and on afterwards. */
  enforceIam(enabled: boolean): Promise<void>
  /** Writes everything to disk now; a clean stop does so too. */
  save(): Promise<void>
  /** Copies the state as it is now, in memory; `commit` writes the copy. From the first call on it saves only when asked. */
  stage(): Promise<void>
  commit(): Promise<void>
  /** Cancels a share (0 to 1) of all DynamoDB transactions, as AWS does under contention. */
  injectConflicts(share: number): Promise<void>
  /** Items that DynamoDB was asked to write since the start. */
  writes(): Promise<number>
  stop(): Promise<void>
}

export interface EmulatorOptions {
  port: number
  /** Folder that keeps buckets, tables, keys and endpoints over restarts. */
  stateDir: string
  logFile: string
  iam?: boolean
  region?: string
  /** Folder with one sub-folder per GPU image; the repository's own unless a test brings others. */
  imagesDir?: string
}

const READY_MS = 60_000

/** Starts the emulator and waits until it answers; throws with the log's name when it does not. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const region = options.region ?? 'us-east-1'
  const endpoint = `http://127.0.0.1:${options.port}`
  const token = randomBytes(24).toString('hex')
  await mkdir(options.stateDir, { recursive: true })
  const child = startChild({
    name: 'embedded AWS',
    command: venvPython,
    args: [
      '-m',
      'openledger_emulator',
      ...['--port', String(options.port), '--state', options.stateDir, '--images', options.imagesDir ?? images],
      ...['--region', region, ...(options.iam ? ['--auth'] : [])],
    ],
    env: {
      ...withTools(withoutAws(process.env)),
      PYTHONPATH: emulatorPackage,
      OPENLEDGER_CONTROL_TOKEN: token,
      LOG_LEVEL: process.env['OPENLEDGER_EMULATOR_LOG'] ?? 'WARNING',
    },
    logFile: options.logFile,
  })
  const control = (path: string, body?: unknown) => controlCall(`${endpoint}/_openledger/${path}`, token, body)
  await ready(child, () => control('health'), options.logFile)
  return {
    endpoint,
    region,
    child,
    env: {
      ...withTools(withoutAws(process.env)),
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_EC2_METADATA_DISABLED: 'true',
      // The account and region of an environment-agnostic CDK app.
      CDK_DEFAULT_ACCOUNT: '000000000000',
      CDK_DEFAULT_REGION: region,
      CDK_DISABLE_CLI_TELEMETRY: 'true',
    },
    enforceIam: async (enabled) => void (await control('auth', { enabled })),
    save: async () => void (await control('save', {})),
    stage: async () => void (await control('stage', {})),
    commit: async () => void (await control('commit', {})),
    injectConflicts: async (share) => void (await control('conflicts', { share })),
    async writes() {
      const { writes } = (await control('health')) as { writes: Record<string, number> }
      return Object.values(writes).reduce((sum, count) => sum + count, 0)
    },
    stop: () => child.stop(60_000),
  }
}

async function controlCall(url: string, token: string, body?: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'x-openledger-control': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return response.json()
}

async function ready(child: Child, probe: () => Promise<unknown>, logFile: string): Promise<void> {
  const deadline = Date.now() + READY_MS
  let gone: string | undefined
  child.exited.then(
    (code) => {
      gone = `it ended with code ${code}`
    },
    (cause: Error) => {
      gone = cause.message
    },
  )
  while (Date.now() < deadline && gone === undefined) {
    if (
      await probe().then(
        () => true,
        () => false,
      )
    )
      return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await child.stop(1_000)
  throw new Error(`the embedded AWS did not start (${gone ?? 'no answer in 60 s'}); its log is ${logFile}`)
}

/** Somebody's real AWS profile must never be used by, or leak into, the local platform. */
function withoutAws(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('AWS_')))
}

export function stateFolder(dir: string): string {
  return join(dir, 'aws')
}
