import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Platform } from './platform.ts'
import type { Seconds } from './setup/progress.ts'

/**
 * Writes what is known of `run.json` before the example: where the API and the chain are. What an earlier example
 * left in it stays. Mode 0600, since the example adds tokens and keys.
 */
export async function writeRunFile(platform: Platform, seconds: Seconds): Promise<string> {
  const file = join(platform.dir, 'run.json')
  const empty = {
    keys: {},
    people: {},
    datanets: [],
    adapters: [],
    inferences: [],
    epoch: null,
    payees: [],
    seconds: {},
  }
  const before = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Partial<typeof empty>
  const run = {
    ...empty,
    ...before,
    api: platform.api,
    chain: {
      rpcUrl: platform.chain.rpcUrl,
      chainId: platform.chain.chainId,
      contracts: platform.deployed.contracts,
    },
    seconds: { ...before.seconds, setup: seconds['setup'] ?? 0, deploy: seconds['deploy'] ?? 0 },
  }
  await writeFile(file, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600 })
  await chmod(file, 0o600)
  return file
}
