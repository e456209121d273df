import { join } from 'node:path'
import type { Platform } from '../platform.ts'
import { Journal } from './journal.ts'

/** What the platform hands to the example: public doors, and a place to remember. */
export interface ExampleContext {
  /** Folder of this platform's state; run.json goes here. */
  dir: string
  api: { baseUrl: string; openaiBaseUrl: string }
  aws: { endpoint: string; region: string; credentials: { accessKeyId: string; secretAccessKey: string } }
  userPoolId: string
  userPoolClientId: string
  operatorsGroup: string
  chain: {
    rpcUrl: string
    chainId: number
    contracts: { token: string; escrow: string; settlement: string; datanetRegistry: string; modelRegistry: string }
    /** Holder of the OPEN supply on the local chain. */
    deployerKey: string
  }
  journal: Journal
  /** Prints progress to stderr. */
  log(line: string): void
}

export interface ExampleSeconds {
  ingest: number
  train: number
  infer: number
  attribute: number
  settle: number
  total: number
}

/** The example on a running platform, as root of the embedded AWS and holder of the local chain's supply. */
export const contextOf = (platform: Platform, log: (line: string) => void): ExampleContext => {
  const { outputs, contracts } = platform.deployed
  const { endpoint, region } = platform.emulator
  const { rpcUrl, chainId, deployerKey } = platform.chain
  return {
    dir: platform.dir,
    api: platform.api,
    aws: { endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } },
    userPoolId: outputs['UserPoolId'] ?? '',
    userPoolClientId: outputs['UserPoolClientId'] ?? '',
    operatorsGroup: 'operators',
    chain: { rpcUrl, chainId, contracts, deployerKey },
    journal: new Journal(join(platform.dir, 'example.json'), platform.checkpoints),
    log,
  }
}
