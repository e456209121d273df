import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KMSClient } from '@aws-sdk/client-kms'
import { Wallet } from 'ethers'
import { type Deployment, deploy as deployContracts } from '../contracts/script/deployment.ts'
import { kmsAddress } from '../functions/settlement/settler/kms-signer.client.ts'
import { bootstrap, deploy, type StackOutputs } from './deploy.ts'
import type { Emulator } from './emulator/emulator.ts'
import type { Chain } from './l2.ts'
import { repository } from './paths.ts'

/** The product as it stands on this machine: the stack's outputs and the contracts' addresses. */
export interface Deployed {
  outputs: StackOutputs
  contracts: Deployment['contracts']
  fingerprint: string
}

export interface StackOptions {
  dir: string
  emulator: Emulator
  chain: Chain
  note: (line: string) => void
}

/** Seconds between the proposal of a root and its activation: long enough to see both, short for an example. */
const WINDOW_SECONDS = 3
const SOURCES = ['infra', 'functions', 'package-lock.json', 'contracts/src', 'local/stack.ts']

/** What was deployed into this folder, if it is what the sources say now. Then nothing has to be deployed. */
export async function upToDate(dir: string): Promise<Deployed | undefined> {
  const text = await readFile(join(dir, 'deployed.json'), 'utf8').catch(() => undefined)
  const deployed = text === undefined ? undefined : (JSON.parse(text) as Deployed)
  return deployed?.fingerprint === (await fingerprint()) ? deployed : undefined
}

/**
 * Deploys the stack and the contracts as an operator does. The contracts must know the address of the settler's KMS
 * key, and the stack the addresses of the contracts: so the stack comes first without a chain, and again with it.
 */
export async function deployProduct(options: StackOptions): Promise<Deployed> {
  const { dir, emulator, chain, note } = options
  await emulator.enforceIam(false)
  const onLine = (line: string) => {
    if (/(_FAILED|✅|❌|\berror\b)/.test(line)) note(line.trim())
  }
  const cdk = (configuration: object) => {
    const context = { openledger: JSON.stringify(configuration) }
    return deploy({ emulator, outDir: join(dir, 'cdk'), context, onLine })
  }
  await bootstrap({ emulator, outDir: join(dir, 'cdk'), onLine })
  const known = await readFile(join(dir, 'deployed.json'), 'utf8').catch(() => undefined)
  const first = known ? (JSON.parse(known) as Deployed).outputs : await cdk(settings())
  const settler = await addressOf(emulator, first, 'SettlerKey', chain)
  const watcher = await addressOf(emulator, first, 'WatcherKey', chain)
  const { contracts, codeHashes } = await deployContracts({
    rpcUrl: chain.rpcUrl,
    privateKey: chain.deployerKey,
    roles: { settler, watcher, guardian: new Wallet(chain.guardianKey).address },
    window: WINDOW_SECONDS,
    out: join(dir, 'chain', 'deployment.json'),
    log: note,
  })
  await Promise.all([settler, watcher].map((address) => chain.fund(address)))
  const outputs = await cdk(settings({ chain, contracts, codeHashes, settler, watcher }))
  await emulator.enforceIam(true)
  await chain.save()
  await emulator.save()
  const deployed = { outputs, contracts, fingerprint: await fingerprint() }
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'deployed.json'), `${JSON.stringify(deployed, null, 2)}\n`)
  return deployed
}

/** The deploy knobs of the local platform (infra/config.ts): the same names that a customer sets. */
function settings(
  on?: { chain: Chain; settler: string; watcher: string } & Pick<Deployment, 'contracts' | 'codeHashes'>,
): object {
  const image = (name: string) => `000000000000.dkr.ecr.us-east-1.amazonaws.com/openledger/${name}:local`
  return {
    stage: 'dev',
    logRetentionDays: 7,
    images: { fineTune: image('fine-tune'), openLora: image('open-lora'), influence: image('influence') },
    training: { spot: false },
    // The embedded AWS has no Application Auto Scaling: one instance, always.
    hosting: { influence: { minInstances: 1, maxInstances: 1 } },
    epoch: { schedule: 'rate(1 day)', settleEvery: 'rate(1 minute)', graceSeconds: 2 },
    ...(on
      ? {
          chain: {
            rpcUrl: on.chain.rpcUrl,
            chainId: on.chain.chainId,
            settlerAddress: on.settler,
            watcherAddress: on.watcher,
            settlementCodeHash: on.codeHashes['settlement'],
            escrowCodeHash: on.codeHashes['escrow'],
            token: on.contracts.token,
            escrow: on.contracts.escrow,
            settlement: on.contracts.settlement,
            datanetRegistry: on.contracts.datanetRegistry,
            modelRegistry: on.contracts.modelRegistry,
            finality: 'latest', // anvil mines when there is something to mine: "finalized" would wait for ever
          },
        }
      : {}),
  }
}

/** Address of a signing key that the stack made. */
async function addressOf(emulator: Emulator, outputs: StackOutputs, name: string, chain: Chain): Promise<string> {
  const keyId = outputs[`${name}Arn`] ?? outputs[`${name}Id`]
  if (!keyId) return new Wallet(chain.guardianKey).address
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const kms = new KMSClient({ endpoint: emulator.endpoint, region: emulator.region, credentials })
  try {
    return await kmsAddress(keyId, kms)
  } finally {
    kms.destroy()
  }
}

/** Changes with every source that the deployed product is made of. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256')
  for (const source of SOURCES) {
    const path = join(repository, source)
    const files = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined)
    const names = files ? files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name)) : [path]
    for (const name of names.sort()) hash.update(name).update(await readFile(name))
  }
  return hash.digest('hex')
}
