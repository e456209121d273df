/** Puts the contracts on a chain, or finds them there. One script for anvil, an OP-stack L2 and any EVM chain; running it
 * again with the same choices sends nothing. `local/` calls `deploy`,
 * operators run deploy.ts. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ethers } from 'ethers'
import { artefact, buildIfMissing, CONTRACTS } from './build.ts'
import { addressOf, ensureFactory, hasCode, type Sender, sameCode } from './deterministic.ts'
import { DEFAULTS, initCode, type Parameters, type Roles, type Step, steps } from './plan.ts'

/** Changing it gives a fresh set of addresses. */
const SALT = ethers.id('openledger.contracts.v1')

export interface DeployOptions {
  rpcUrl: string
  /** Hex private key of the deployer; it gets no role unless `roles` says so (it is the default admin behind the timelock). */
  privateKey: string
  roles: Roles
  /** Seconds between propose and activate. */
  window: number
  parameters?: Partial<Omit<Parameters, 'window'>>
  native?: boolean
  token?: string
  /** File to write; default contracts/deployments/<chainId>.json. */
  out?: string
  dryRun?: boolean
  log?: (line: string) => void
}

export interface Deployment {
  chainId: number
  /** First block that can hold events of these contracts. */
  fromBlock: number
  factory: string
  native: boolean
  contracts: Record<'token' | 'escrow' | 'settlement' | 'timelock' | 'datanetRegistry' | 'modelRegistry', string>
  /** keccak256 of the runtime code on chain; the stack refuses a chain where it differs. */
  codeHashes: Record<string, string>
  transactions: number
}

/** @throws Error naming what is wrong: bad address, no funds, code that differs from the artefact */
export async function deploy(options: DeployOptions): Promise<Deployment> {
  buildIfMissing()
  const log = options.log ?? (() => {})
  const provider = await connect(options.rpcUrl)
  try {
    return await deployOn(provider, options, log)
  } finally {
    provider.destroy()
  }
}

async function connect(rpcUrl: string): Promise<ethers.JsonRpcProvider> {
  const probe = new ethers.JsonRpcProvider(rpcUrl, undefined, { staticNetwork: false })
  const chainId = await probe.send('eth_chainId', []).finally(() => probe.destroy())
  const network = ethers.Network.from(Number(chainId))
  const provider = new ethers.JsonRpcProvider(rpcUrl, network, { staticNetwork: network, cacheTimeout: -1 })
  provider.pollingInterval = 200
  return provider
}

async function deployOn(
  provider: ethers.JsonRpcProvider,
  options: DeployOptions,
  log: (line: string) => void,
): Promise<Deployment> {
  const signer = new ethers.NonceManager(new ethers.Wallet(options.privateKey, provider))
  const deployer = await signer.getAddress()
  const chainId = Number((await provider.getNetwork()).chainId)
  const out = options.out ?? join(CONTRACTS, 'deployments', `${chainId}.json`)
  const earlier: Deployment | undefined = existsSync(out) ? JSON.parse(readFileSync(out, 'utf8')) : undefined
  let transactions = 0
  let firstBlock: number | undefined
  const send: Sender = async (what, request) => {
    transactions++
    log(
      `${options.dryRun ? 'would send' : 'send'} ${what}: to ${request.to ?? '(create)'}, ${bytes(request.data)} bytes`,
    )
    if (options.dryRun) return undefined
    const receipt = await (await signer.sendTransaction(request)).wait()
    if (receipt?.status !== 1) throw new Error(`transaction failed: ${what}`)
    firstBlock ??= receipt.blockNumber
    return receipt
  }

  checkAddresses({ ...options.roles, ...(options.token && { token: options.token }) })
  const factory = options.dryRun
    ? await ensureFactory(provider, send, earlier?.factory).catch(() => earlier?.factory ?? '')
    : await ensureFactory(provider, send, earlier?.factory)
  const parameters: Parameters = { ...DEFAULTS, ...options.parameters, window: options.window }
  const native = options.native ?? false
  const codeOf = (step: Step) => initCode(artefact(step.name), step.args)
  const choice = { roles: options.roles, parameters, deployer, native, ...(options.token && { token: options.token }) }
  const plan = steps(choice, (step) => addressOf(factory, SALT, codeOf(step)))
  const contracts = { token: options.token ?? '' } as Deployment['contracts']
  for (const { step, address } of plan) {
    contracts[step.key] = address
    if (await hasCode(provider, address)) log(`${step.name} is at ${address}`)
    else await send(`${step.name} -> ${address}`, { to: factory, data: ethers.concat([SALT, codeOf(step)]) })
  }
  contracts.escrow = ethers.getCreateAddress({ from: contracts.settlement, nonce: 1 })
  const deployment: Deployment = {
    chainId,
    fromBlock: earlier?.contracts.settlement === contracts.settlement ? earlier.fromBlock : (firstBlock ?? 0),
    factory,
    native,
    contracts,
    codeHashes: {},
    transactions,
  }
  if (options.dryRun) return deployment
  deployment.codeHashes = await verify(provider, deployment, plan)
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(out, `${JSON.stringify(deployment, null, 2)}\n`)
  return deployment
}

/** Compares every runtime code with its artefact. */
async function verify(
  provider: ethers.Provider,
  deployment: Deployment,
  plan: { step: Step; address: string }[],
): Promise<Record<string, string>> {
  const names = new Map(plan.map(({ step }) => [step.key as string, step.name]))
  names.set('escrow', 'InferenceEscrow')
  const hashes: Record<string, string> = {}
  for (const [key, address] of Object.entries(deployment.contracts)) {
    const code = await provider.getCode(address)
    if (code === '0x') throw new Error(`no code at ${key} ${address}`)
    const name = names.get(key)
    if (name && !sameCode(code, artefact(name).deployedBytecode)) {
      throw new Error(`code of ${key} at ${address} differs from the compiled ${name}`)
    }
    hashes[key] = ethers.keccak256(code)
  }
  return hashes
}

function checkAddresses(named: Record<string, string | undefined>): void {
  for (const [name, address] of Object.entries(named)) {
    if (address !== undefined && !ethers.isAddress(address)) throw new Error(`${name}: not an address: ${address}`)
  }
}

function bytes(data: ethers.BytesLike | null | undefined): number {
  return data ? ethers.dataLength(data) : 0
}
