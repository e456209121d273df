import canonicalize from 'canonicalize'
import type { EpochFile } from './close-epoch.ts'
import { type EpochInputs, parseEpochInputs } from './inputs.ts'
import type { LogObject } from './receipt-log.ts'

/** The house's own accounts and their addresses, from the configuration. */
export interface House {
  platform: { account: string; address: string | undefined }
  treasury: string
  operator: { account: string; address: string | undefined } | null
  treeDepth: number
}

export interface RegisteredAccount {
  accountId: string
  address?: string | undefined
  /** Who stands behind the balance: an escrow client's address, or `operator`. */
  backedBy?: string | undefined
  createdAt: string
}

export interface FixPorts {
  /** Keys of the log objects of an epoch, ascending. */
  list(epoch: number): Promise<string[]>
  /** These objects, in this order. */
  read(keys: readonly string[]): AsyncIterable<LogObject>
  fixed(epoch: number): Promise<EpochInputs | undefined>
  quarantined(epoch: number): Promise<EpochInputs['quarantined']>
  counted(epoch: number): Promise<{ receipts: bigint; fees: bigint }>
  /** Fee of a receipt as the ledger has it, and whether the ledger counted it into this epoch. */
  feeOf(receiptId: string): Promise<{ fee: bigint; epoch: number | null } | undefined>
  previous(epoch: number): Promise<EpochFile | undefined>
  accounts(ids: readonly string[]): Promise<RegisteredAccount[]>
  /** Digests of the terms on which an adapter may stand in the log; none when the registry does not know it. */
  terms(adapterId: string): Promise<string[]>
  /** Writes list, previous balances and inputs, the inputs last. */
  fix(epoch: number, objects: string[], inputs: Uint8Array, first: boolean): Promise<void>
  now(): Date
}

/** The log does not yet hold all that the ledger counted: try again later. Nothing is fixed. */
export class LogBehind extends Error {
  constructor(logged: number, counted: bigint) {
    super(`the receipt log holds ${logged} receipts, the ledger counted ${counted}`)
    this.name = 'LogBehind'
  }
}

/**
 * Fixes what an epoch is made of, once: the list of log objects and `epoch-inputs.json` (see `inputs.ts`). A second run
 * changes nothing, unless the operator has set receipts aside since. Throws LogBehind while receipts are missing.
 */
export const fixInputs = async (
  ports: FixPorts,
  epoch: number,
  house: House,
): Promise<{ objects: number; receipts: number }> => {
  const [fixed, quarantined] = await Promise.all([ports.fixed(epoch), ports.quarantined(epoch)])
  const objects = await ports.list(epoch)
  if (fixed && canonicalize(fixed.quarantined) === canonicalize(quarantined))
    return { objects: objects.length, receipts: fixed.ledger.receipts }
  const named = await namesIn(ports, objects)
  const counted = await ports.counted(epoch)
  if (named.receipts.size < counted.receipts) throw new LogBehind(named.receipts.size, counted.receipts)
  const ledger = await withoutQuarantined(ports, epoch, counted, quarantined)
  const previous = epoch > 1 ? await ports.previous(epoch - 1) : undefined
  if (epoch > 1 && !previous) throw new Error(`epoch ${epoch - 1} is not closed`)
  const adapters = await Promise.all(
    [...named.adapters].sort().map(async (adapterId) => ({ adapterId, terms: await ports.terms(adapterId) })),
  )
  const inputs: EpochInputs = {
    format: 'openledger-epoch-inputs-1',
    epoch,
    closedAt: ports.now().toISOString(),
    previous: {
      epoch: epoch - 1,
      root: previous?.root ?? `0x${'0'.repeat(64)}`,
      total: previous?.total ?? '0',
      balances: previous?.files['balances.bin'] ?? null,
      unassigned: previous?.unassigned ?? [],
      unassignedSpent: previous?.unassignedSpent ?? [],
    },
    treeDepth: previous?.treeDepth ?? house.treeDepth,
    treasury: house.treasury,
    operator: house.operator?.account ?? null,
    platform: house.platform.account,
    adapters: adapters.filter(({ terms }) => terms.length > 0),
    accounts: await addressBook(ports, house, [
      ...named.accounts,
      ...(previous?.unassigned ?? []).map(({ payee }) => payee),
      ...(previous?.unassignedSpent ?? []).map(({ client }) => client),
    ]),
    ledger,
    quarantined,
  }
  const bytes = Buffer.from(canonicalize(inputs)!)
  parseEpochInputs(bytes)
  await ports.fix(epoch, objects, bytes, fixed === undefined)
  return { objects: objects.length, receipts: ledger.receipts }
}

/** Ids that the log mentions. A line that is not a receipt is the calculators' to refuse. */
const namesIn = async (ports: FixPorts, objects: readonly string[]) => {
  const [receipts, adapters, accounts] = [new Set<string>(), new Set<string>(), new Set<string>()]
  for await (const { bytes } of ports.read(objects)) {
    const text = Buffer.from(bytes).toString('latin1')
    for (const [, id] of text.matchAll(/"receiptId":"(rcp_[0-9a-f]{24})"/g)) receipts.add(id!)
    for (const [, id] of text.matchAll(/"adapterId":"([0-9a-f]{32})"/g)) adapters.add(id!)
    for (const [id] of text.matchAll(/acc_[0-9a-f]{24}/g)) accounts.add(id)
  }
  return { receipts, adapters, accounts }
}

/** Accounts in order of registration; the house's own come first, and accounts without a record last. */
const addressBook = async (
  ports: FixPorts,
  house: House,
  named: readonly string[],
): Promise<EpochInputs['accounts']> => {
  const own = new Map<string, string | undefined>([
    [house.platform.account, house.platform.address],
    [house.treasury, undefined],
    ...(house.operator ? [[house.operator.account, house.operator.address] as const] : []),
  ])
  const ids = [...new Set([...own.keys(), ...named])]
  const found = new Map((await ports.accounts(ids)).map((account) => [account.accountId, account]))
  const others = ids.filter((id) => !own.has(id))
  const since = (id: string) => found.get(id)?.createdAt ?? '9999'
  others.sort((a, b) => (since(a) === since(b) ? (a < b ? -1 : 1) : since(a) < since(b) ? -1 : 1))
  return [...own.keys(), ...others].map((accountId) => {
    const { backedBy, address: registered } = found.get(accountId) ?? {}
    const address = (own.get(accountId) ?? registered)?.toLowerCase()
    const client = backedBy === 'operator' ? null : backedBy
    return {
      accountId,
      ...(address === undefined ? {} : { address }),
      ...(client === undefined || client === address ? {} : { client }),
    }
  })
}

const withoutQuarantined = async (
  ports: FixPorts,
  epoch: number,
  counted: { receipts: bigint; fees: bigint },
  quarantined: EpochInputs['quarantined'],
): Promise<EpochInputs['ledger']> => {
  let { receipts, fees } = counted
  for (const { receiptId } of quarantined) {
    const known = await ports.feeOf(receiptId)
    if (known?.epoch !== epoch) continue
    receipts -= 1n
    fees -= known.fee
  }
  return { receipts: Number(receipts), fees: String(fees) }
}
