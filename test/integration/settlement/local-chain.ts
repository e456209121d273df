/** A real anvil with the real contracts, for tests of the settler. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:net'
import { arch, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Contract, JsonRpcProvider, Network, NonceManager, Wallet } from 'ethers'
import { type Deployment, deploy } from '../../../contracts/script/deploy.ts'
import type { Parameters } from '../../../contracts/script/plan.ts'

/** anvil's published development keys: deployer, settler, watcher, guardian, client. */
const KEYS = [
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
  '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
  '0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6',
  '0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a',
]

/** The binary itself: killing npm's wrapper would leave it running. */
const anvilBinary = (): string => {
  const machine = `anvil-${platform()}-${arch() === 'x64' ? 'amd64' : arch()}`
  return fileURLToPath(new URL(`../../../node_modules/@foundry-rs/${machine}/bin/anvil`, import.meta.url))
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

export class LocalChain {
  readonly rpcUrl: string
  readonly rpc: JsonRpcProvider
  readonly deployer: NonceManager
  readonly settler: Wallet
  readonly watcher: Wallet
  readonly client: Wallet
  deployment!: Deployment
  settlement!: Contract
  escrow!: Contract
  token!: Contract
  readonly #process: ChildProcess

  private constructor(port: number, process: ChildProcess, chainId: number) {
    this.rpcUrl = `http://127.0.0.1:${port}`
    this.#process = process
    const network = Network.from(chainId)
    this.rpc = new JsonRpcProvider(this.rpcUrl, network, { staticNetwork: network, cacheTimeout: -1 })
    this.rpc.pollingInterval = 20
    const [deployer, settler, watcher, , client] = KEYS.map((key) => new Wallet(key, this.rpc))
    this.deployer = new NonceManager(deployer!)
    this.settler = settler!
    this.watcher = watcher!
    this.client = client!
  }

  /**
   * Starts anvil (a block a transaction; `finalized` 2 x slots blocks behind) and deploys. `window` in seconds; `native`:
   * OPEN is the chain's coin.
   */
  static async start(
    window: number,
    parameters: Partial<Parameters> = {},
    slots = 1,
    flags: string[] = [],
    { chainId = 31_337, native = false, hardfork = 'prague' } = {},
  ): Promise<LocalChain> {
    const port = await freePort()
    const args = [
      '--port',
      String(port),
      '--chain-id',
      String(chainId),
      '--silent',
      '--hardfork',
      hardfork,
      '--slots-in-an-epoch',
      String(slots),
      ...flags,
    ]
    const anvil = spawn(anvilBinary(), args, { stdio: 'ignore' })
    const chain = new LocalChain(port, anvil, chainId)
    for (let i = 0; ; i++) {
      const up = await chain.rpc.send('eth_chainId', []).catch(() => null)
      if (up) break
      if (i > 100) throw new Error('anvil did not start')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    chain.deployment = await deploy({
      rpcUrl: chain.rpcUrl,
      privateKey: KEYS[0]!,
      roles: {
        settler: chain.settler.address,
        watcher: chain.watcher.address,
        guardian: new Wallet(KEYS[3]!).address,
      },
      window,
      parameters,
      native,
      out: join(mkdtempSync(join(tmpdir(), 'deployment-')), 'chain.json'),
    })
    const { contracts } = chain.deployment
    const abi = async (name: string) =>
      (await import(`../../../contracts/abi/${name}.json`, { with: { type: 'json' } })).default
    chain.settlement = new Contract(contracts.settlement, await abi('Settlement'), chain.deployer)
    chain.escrow = new Contract(contracts.escrow, await abi('InferenceEscrow'), chain.deployer)
    chain.token = new Contract(contracts.token, await abi('OpenToken'), chain.deployer)
    return chain
  }

  async deposit(amount: bigint, client = this.client.address): Promise<{ transactionHash: string; block: number }> {
    await (await this.token['approve']!(this.deployment.contracts.escrow, amount)).wait()
    const receipt = await (await this.escrow['deposit']!(client, amount)).wait()
    return { transactionHash: receipt.hash, block: receipt.blockNumber }
  }

  mine(blocks = 1, seconds = 1): Promise<unknown> {
    return this.rpc.send('anvil_mine', [`0x${blocks.toString(16)}`, `0x${seconds.toString(16)}`])
  }

  async balanceOf(address: string): Promise<bigint> {
    return this.token['balanceOf']!(address)
  }

  stop(): void {
    this.rpc.destroy()
    this.#process.kill('SIGKILL')
  }
}
