import { beforeEach, describe, expect, it } from 'vitest'
import type { Receipt } from '../../../functions/schema/receipt.ts'
import { type BeginPorts, beginClose } from '../../../functions/settlement/epoch/begin-close.ts'
import { closeEpoch, type EpochFile } from '../../../functions/settlement/epoch/close-epoch.ts'
import { type FixPorts, fixInputs, LogBehind } from '../../../functions/settlement/epoch/fix-inputs.ts'
import { type EpochInputs, parseEpochInputs, termsDigest } from '../../../functions/settlement/epoch/inputs.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { account, adapter, address, logOf, makeReceipt, receiptId } from './epoch-factory.ts'

describe('which epoch is closed', () => {
  type State = { current: number; receipts: bigint; closed: number[]; vetoed?: number }
  const ports = (state: State): BeginPorts => ({
    current: async () => state.current,
    counted: async () => ({ receipts: state.receipts }),
    find: async (epoch) =>
      state.closed.includes(epoch) ? { state: epoch === state.vetoed ? 'vetoed' : 'closed' } : undefined,
    advanceFrom: async (epoch) => {
      state.current = epoch + 1
    },
  })
  it('the open one, which then takes no more receipts', async () => {
    const state = { current: 3, receipts: 2n, closed: [1, 2] }
    expect(await beginClose(ports(state), 330)).toEqual({ outcome: 'close', epoch: 3, graceSeconds: 330, again: false })
    expect(state.current).toBe(4)
  })
  it('none while the open one is empty: numbers have no gaps', async () => {
    const state = { current: 3, receipts: 0n, closed: [1, 2] }
    expect(await beginClose(ports(state), 330)).toEqual({ outcome: 'empty', epoch: 3 })
    expect(state.current).toBe(3)
  })
  it('first the one whose close broke', async () => {
    const state = { current: 3, receipts: 9n, closed: [1] }
    expect(await beginClose(ports(state), 330)).toEqual({ outcome: 'close', epoch: 2, graceSeconds: 330, again: false })
    expect(state.current).toBe(3)
  })
  it('none on top of a vetoed one, which only the operator’s word closes again', async () => {
    const state = { current: 3, receipts: 9n, closed: [1, 2], vetoed: 2 }
    await expect(beginClose(ports(state), 330)).rejects.toMatchObject({ code: 'wrong-state' })
    expect(state.current).toBe(3)
    await expect(beginClose(ports(state), 330, 1)).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(beginClose(ports(state), 330, 3)).rejects.toMatchObject({ code: 'wrong-state' })
    expect(await beginClose(ports(state), 330, 2)).toEqual({ outcome: 'close', epoch: 2, graceSeconds: 0, again: true })
  })
})

describe('fixing the inputs of an epoch', () => {
  const receipts = [
    makeReceipt({ name: 1, provenance: [['x', 'ann', 600n]], totalBits: 1000n }),
    makeReceipt({ name: 2, influence: [['z', 'cyd', 7n]], totalBits: 1000n }),
  ]
  const house = {
    platform: { account: account('platform'), address: address('platform') },
    treasury: account('treasury'),
    operator: { account: account('operator'), address: undefined },
    treeDepth: 20,
  }
  let log: Receipt[]
  let counted: { receipts: bigint; fees: bigint }
  let fixed: { objects: string[]; inputs: Uint8Array; first: boolean } | undefined
  let quarantined: EpochInputs['quarantined']
  let previous: EpochFile | undefined
  const backed = new Map<string, string>()
  const fees = (list: readonly Receipt[]) => list.reduce((sum, { billing }) => sum + BigInt(billing.fee), 0n)
  const ports = (): FixPorts => ({
    list: async () => log.map((_, i) => `batch-${i}.jsonl`),
    read: async function* (keys) {
      for (const key of keys) yield logOf([log[Number(/\d+/.exec(key)![0])]!])
    },
    fixed: async () => fixed && parseEpochInputs(fixed.inputs),
    quarantined: async () => quarantined,
    counted: async () => counted,
    feeOf: async (id) => {
      const found = receipts.find(({ billing }) => billing.receiptId === id)
      return found && { fee: BigInt(found.billing.fee), epoch: found.epoch }
    },
    previous: async () => previous,
    accounts: async (ids) =>
      ids
        .filter((id) => id !== account('cyd'))
        .map((accountId) => ({
          accountId,
          address: address(accountId),
          createdAt: accountId === account('ann') ? '2020' : '2021',
          ...(backed.has(accountId) ? { backedBy: backed.get(accountId) } : {}),
        })),
    terms: async (adapterId) => (adapterId === adapter('a') ? [termsDigest(receipts[0]!.billing)] : []),
    fix: async (_epoch, objects, inputs, first) => {
      fixed = { objects, inputs, first }
    },
    now: () => new Date('2026-02-01T00:00:00.000Z'),
  })
  beforeEach(() => {
    log = [...receipts]
    counted = { receipts: 2n, fees: fees(receipts) }
    fixed = undefined
    quarantined = []
    previous = undefined
  })
  const inputs = () => parseEpochInputs(fixed!.inputs)

  it('makes inputs from which the epoch closes', async () => {
    await fixInputs(ports(), 1, house)
    const closed = await closeEpoch(
      { inputs: fixed!.inputs, previousBalances: new Uint8Array(), objects: [logOf(log)] },
      await loadKeccak(),
    )
    expect(closed.epoch.receipts).toBe(2)
    expect(closed.epoch.unassigned.map(({ payee }) => payee)).toContain(account('cyd'))
  })
  it('lists accounts in order of registration, the house first and strangers last', async () => {
    await fixInputs(ports(), 1, house)
    const order = inputs().accounts.map(({ accountId }) => accountId)
    expect(order.slice(0, 4)).toEqual([account('platform'), account('treasury'), account('operator'), account('ann')])
    expect(order.at(-1)).toBe(account('cyd'))
  })
  it('names the escrow client whose deposits an account spends, and leaves credit to the operator', async () => {
    backed.set(account('client'), address('deposited from')).set(account('ann'), 'operator')
    backed.set(account('builder'), address(account('builder')))
    await fixInputs(ports(), 1, house)
    backed.clear()
    const clients = new Map(inputs().accounts.map(({ accountId, client }) => [accountId, client]))
    expect(clients.get(account('client'))).toBe(address('deposited from'))
    expect(clients.get(account('ann'))).toBeNull()
    expect(clients.get(account('builder'))).toBeUndefined() // the same as its payout address
  })
  it('waits while receipts are missing in the log, and fixes nothing', async () => {
    log = [receipts[0]!]
    await expect(fixInputs(ports(), 1, house)).rejects.toThrow(LogBehind)
    expect(fixed).toBeUndefined()
  })
  it('changes nothing when it runs again, even after the address book changed', async () => {
    await fixInputs(ports(), 1, house)
    const before = fixed
    await fixInputs({ ...ports(), accounts: async () => [] }, 1, house)
    expect(fixed).toBe(before)
  })
  it('makes new inputs when the operator set a receipt aside, without its count and fee', async () => {
    await fixInputs(ports(), 1, house)
    quarantined = [{ receiptId: receiptId(2), reason: 'poison' }]
    await fixInputs(ports(), 1, house)
    expect(fixed!.first).toBe(false)
    expect(inputs().ledger).toEqual({ receipts: 1, fees: receipts[0]!.billing.fee })
  })
  it('carries balances that wait over from the epoch before, and refuses to go on without it', async () => {
    await expect(fixInputs(ports(), 2, house)).rejects.toThrow('epoch 1 is not closed')
    previous = {
      root: `0x${'a'.repeat(64)}`,
      total: '5',
      treeDepth: 20,
      files: { 'balances.bin': 'b'.repeat(64) },
      unassigned: [{ payee: account('dan'), amount: '9' }],
      unassignedSpent: [],
    } as unknown as EpochFile
    await fixInputs(ports(), 2, house)
    expect(inputs().previous).toMatchObject({
      epoch: 1,
      total: '5',
      unassigned: [{ payee: account('dan'), amount: '9' }],
    })
    expect(inputs().accounts.some(({ accountId }) => accountId === account('dan'))).toBe(true)
  })
  it('leaves out an adapter that the registry does not know: the close then names its receipt', async () => {
    log = [receipts[0]!, makeReceipt({ name: 2, adapter: 'stranger' })]
    counted = { receipts: 2n, fees: fees(log) }
    await fixInputs(ports(), 1, house)
    const close = closeEpoch(
      { inputs: fixed!.inputs, previousBalances: new Uint8Array(), objects: [logOf(log)] },
      await loadKeccak(),
    )
    await expect(close).rejects.toMatchObject({ code: 'unknown-adapter', receiptId: receiptId(2) })
  })
})
