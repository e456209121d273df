import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { arch, platform } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { HDNodeWallet, JsonRpcProvider, Wallet } from 'ethers'
import { repository, tether, venvPython } from './paths.ts'
import { type Child, startChild } from './processes/child.ts'

/** The L2 of the local platform: anvil, with its blocks and its keys in a folder. */
export interface Chain {
  readonly rpcUrl: string
  readonly chainId: number
  readonly child: Child
  /** Deploys the contracts and holds the OPEN supply. */
  readonly deployerKey: string
  /** May veto a pending root and pause. */
  readonly guardianKey: string
  /** Gives an account coin for gas, if it has less. */
  fund(address: string): Promise<void>
  /** Writes blocks and state to disk now; a clean stop does so too. */
  save(): Promise<void>
  stop(): Promise<void>
}

export interface ChainOptions {
  port: number
  dir: string
  logFile: string
}

const CHAIN_ID = 31_337
const READY_MS = 20_000
const GAS_MONEY = 10n ** 19n

/** Starts anvil on the state that an earlier run left, and waits until it answers. */
export async function startChain(options: ChainOptions): Promise<Chain> {
  await mkdir(options.dir, { recursive: true })
  const mnemonic = await rememberedMnemonic(join(options.dir, 'mnemonic'))
  const rpcUrl = `http://127.0.0.1:${options.port}`
  const state = join(options.dir, 'state.json')
  const child = startChild({
    name: 'L2 (anvil)',
    command: venvPython,
    args: [
      ...['-S', '-E', tether, '10', anvilBinary(), '--host', '127.0.0.1', '--port', String(options.port)],
      ...['--chain-id', String(CHAIN_ID), '--hardfork', 'prague', '--enable-tx-gas-limit', '--quiet'],
      ...['--accounts', '3', '--mnemonic', mnemonic],
      ...['--state', state],
    ],
    logFile: options.logFile,
  })
  const key = (index: number) => HDNodeWallet.fromPhrase(mnemonic, '', `m/44'/60'/0'/0/${index}`).privateKey
  const provider = new JsonRpcProvider(rpcUrl, CHAIN_ID, { staticNetwork: true, cacheTimeout: -1 })
  await ready(provider, child, new Wallet(key(0)).address, options.logFile)
  return {
    rpcUrl,
    chainId: CHAIN_ID,
    child,
    deployerKey: key(0),
    guardianKey: key(1),
    async fund(address) {
      if ((await provider.getBalance(address)) >= GAS_MONEY / 2n) return
      await provider.send('anvil_setBalance', [address, `0x${GAS_MONEY.toString(16)}`])
    },
    async save() {
      // anvil's own interval writes the file in place: a kill in the middle would leave half of it.
      const dump: string = await provider.send('anvil_dumpState', [])
      await writeFile(`${state}.new`, gunzipSync(Buffer.from(dump.slice(2), 'hex')))
      await rename(`${state}.new`, state)
    },
    async stop() {
      provider.destroy()
      await child.stop(15_000)
    },
  }
}

/** The binary itself, not npm's wrapper, which would be one more process between us and it. */
function anvilBinary(): string {
  const machine = arch() === 'x64' ? 'amd64' : arch()
  const name = platform() === 'win32' ? 'anvil.exe' : 'anvil'
  const file = join(repository, 'node_modules', '@foundry-rs', `anvil-${platform()}-${machine}`, 'bin', name)
  if (!existsSync(file)) throw new Error(`there is no anvil for ${platform()} ${arch()}: ${file}`)
  return file
}

/** Keys of one's own, made at the first start: the well-known ones of every anvil would be anybody's. */
async function rememberedMnemonic(file: string): Promise<string> {
  const known = await readFile(file, 'utf8').catch(() => '')
  if (known) return known.trim()
  const phrase = Wallet.createRandom().mnemonic?.phrase
  if (!phrase) throw new Error('no mnemonic could be made')
  await writeFile(file, `${phrase}\n`, { mode: 0o600 })
  return phrase
}

/** Ready when a node answers that holds our accounts: another anvil may sit on the port by now. */
async function ready(provider: JsonRpcProvider, child: Child, deployer: string, logFile: string): Promise<void> {
  let gone = false
  const end = () => {
    gone = true
  }
  child.exited.then(end, end)
  const deadline = Date.now() + READY_MS
  while (Date.now() < deadline && !gone) {
    const accounts: string[] = await provider.send('eth_accounts', []).catch(() => [])
    if (accounts.some((account) => account.toLowerCase() === deployer.toLowerCase())) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  provider.destroy()
  await child.stop(1_000)
  throw new Error(`the L2 node did not start; its log is ${logFile}`)
}
