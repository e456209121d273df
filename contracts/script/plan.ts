/** What gets deployed, in order, with which constructor arguments. Pure. */
import { ethers } from 'ethers'
import type { Artefact, ContractName } from './build.ts'

/** Who may do what on chain (settlement.md 2). `admin` proposes to and executes the timelock. */
export interface Roles {
  settler: string
  watcher: string
  guardian: string
  treasurer?: string
  admin?: string
}

/** Knobs; times in seconds, amounts in units of 1e-18 OPEN. */
export interface Parameters {
  window: number
  maxPerEpoch: bigint
  outflowCap: bigint
  outflowPeriod: number
  maxPause: number
  pauseCooldown: number
  withdrawalDelay: number
  exitDelay: number
  timelockDelay: number
  supply: bigint
}

const DAY = 86_400
const OPEN = 10n ** 18n

export const DEFAULTS: Parameters = {
  window: 3_600,
  maxPerEpoch: 1_000_000n * OPEN,
  outflowCap: 2_000_000n * OPEN,
  outflowPeriod: DAY,
  maxPause: 3 * DAY,
  pauseCooldown: 7 * DAY,
  withdrawalDelay: 3 * DAY,
  exitDelay: 14 * DAY,
  timelockDelay: 2 * DAY,
  supply: 1_000_000_000n * OPEN,
}

export interface Step {
  key: 'token' | 'timelock' | 'settlement' | 'datanetRegistry' | 'modelRegistry'
  name: ContractName
  args: unknown[]
}

export interface Choice {
  roles: Roles
  parameters: Parameters
  deployer: string
  /** The token wraps the native coin. */
  native: boolean
  /** An existing ERC-20 instead of our own. */
  token?: string
}

/** Steps of a deployment; `at` gives the address of an earlier step. */
export function steps(choice: Choice, at: (step: Step) => string): { step: Step; address: string }[] {
  const { roles, parameters: p, deployer, native } = choice
  const done: { step: Step; address: string }[] = []
  const add = (step: Step): string => {
    const address = at(step)
    done.push({ step, address })
    return address
  }
  const ownToken: Step = native
    ? { key: 'token', name: 'WrappedOpen', args: [] }
    : { key: 'token', name: 'OpenToken', args: [deployer, p.supply] }
  const token = choice.token ?? add(ownToken)
  const admin = roles.admin ?? deployer
  const timelock = add({ key: 'timelock', name: 'OpenTimelock', args: [p.timelockDelay, [admin], [admin]] })
  const limits = [p.window, p.maxPerEpoch, p.outflowCap]
  const { settler, watcher, guardian, treasurer = admin } = roles
  const delays = [p.maxPause, p.pauseCooldown, p.withdrawalDelay, p.exitDelay]
  const setup = [token, native, timelock, settler, watcher, guardian, treasurer, limits, p.outflowPeriod, ...delays]
  const settlement = add({ key: 'settlement', name: 'Settlement', args: [setup] })
  add({ key: 'datanetRegistry', name: 'DatanetRegistry', args: [] })
  add({ key: 'modelRegistry', name: 'ModelRegistry', args: [settlement] })
  return done
}

/** Creation code with its constructor arguments. */
export function initCode(artefact: Artefact, args: unknown[]): string {
  const face = new ethers.Interface(artefact.abi as ethers.InterfaceAbi)
  return ethers.concat([artefact.bytecode.object, face.encodeDeploy(args)])
}
