/** Operators' command that deploys the contracts; `deploy` is what it calls. */
import { parseArgs } from 'node:util'
import { ethers } from 'ethers'
import { type DeployOptions, deploy } from './deployment.ts'
import { DEFAULTS, type Parameters } from './plan.ts'

export { type Deployment, type DeployOptions, deploy } from './deployment.ts'

const USAGE = `usage: node contracts/script/deploy.ts --rpc URL --key-env NAME --settler 0x.. --watcher 0x.. --guardian 0x.. --window SECONDS
  --key-env NAME          environment variable that holds the deployer's private key
  --settler, --watcher, --guardian, --treasurer, --admin ADDRESS
                          roles; admin (default: the deployer) acts through the timelock, treasurer defaults to admin
  --window SECONDS        between propose and activate
  --native                OPEN is this chain's coin: deploy and settle in WOPEN
  --token ADDRESS         settle in this ERC-20 instead of an own OpenToken (with --native: an existing wrapper)
  --<parameter> VALUE     ${Object.keys(DEFAULTS)
    .filter((name) => name !== 'window')
    .map(dashed)
    .join(', ')}
  --out FILE              default contracts/deployments/<chainId>.json
  --dry-run               print each transaction, send none
`

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

const STRINGS = ['rpc', 'key-env', 'settler', 'watcher', 'guardian', 'treasurer', 'admin', 'window', 'token', 'out']

class UsageError extends Error {}

/** Parses the flags. @throws UsageError naming the flag */
export function parse(args: string[], env: NodeJS.ProcessEnv): DeployOptions {
  const knobs = (Object.keys(DEFAULTS) as (keyof Parameters)[]).filter((name) => name !== 'window')
  const strings = [...STRINGS, ...knobs.map(dashed)].map((name) => [name, { type: 'string' }] as const)
  const flags = ['native', 'dry-run'].map((name) => [name, { type: 'boolean' }] as const)
  let values: Record<string, string | boolean | undefined>
  try {
    values = parseArgs({ args, options: Object.fromEntries([...strings, ...flags]) }).values as typeof values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const text = (name: string): string => {
    const value = values[name]
    if (typeof value !== 'string' || value === '') throw new UsageError(`--${name} is missing`)
    return value
  }
  const whole = (name: string): bigint => {
    if (!/^\d+$/.test(text(name))) throw new UsageError(`--${name}: a whole number, not ${text(name)}`)
    return BigInt(text(name))
  }
  const address = (name: string): string => {
    if (!ethers.isAddress(text(name))) throw new UsageError(`--${name}: not an address: ${text(name)}`)
    return text(name)
  }
  const optional = (name: string) => (values[name] === undefined ? {} : { [name]: address(name) })
  const privateKey = env[text('key-env')]
  if (!privateKey) throw new UsageError(`--key-env: ${text('key-env')} is not set`)
  const parameters: Record<string, bigint | number> = {}
  for (const name of knobs) {
    if (values[dashed(name)] === undefined) continue
    parameters[name] = typeof DEFAULTS[name] === 'bigint' ? whole(dashed(name)) : Number(whole(dashed(name)))
  }
  const roles = { settler: address('settler'), watcher: address('watcher'), guardian: address('guardian') }
  return {
    rpcUrl: text('rpc'),
    privateKey,
    roles: { ...roles, ...optional('treasurer'), ...optional('admin') },
    window: Number(whole('window')),
    parameters: parameters as Partial<Parameters>,
    native: values.native === true,
    dryRun: values['dry-run'] === true,
    ...optional('token'),
    ...(values.out === undefined ? {} : { out: text('out') }),
  }
}

/** @returns exit code: 0 done, 1 refused by the chain, 2 wrong usage */
export async function main(args: string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(USAGE)
    return 0
  }
  try {
    const options = parse(args, process.env)
    const deployment = await deploy({ ...options, log: (line) => process.stderr.write(`${line}\n`) })
    process.stdout.write(`${JSON.stringify(deployment)}\n`)
    return 0
  } catch (error) {
    const usage = error instanceof UsageError
    process.stderr.write(`${(error as Error).message}\n${usage ? USAGE : ''}`)
    return usage ? 2 : 1
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
