import type { Journal } from './journal.ts'

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
