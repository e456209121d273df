import { advanceItem, type SettlerPorts, type Step } from './advance-item.ts'
import { accountAt, activateCall, amountAt, payCall, proposeCall } from './calls.ts'
import { fillGap } from './fill-gap.ts'
import { type Item, isMined, isOpen, itemName, newItem } from './item.ts'
import type { EpochBook, EpochFiles, EpochToSettle } from './ports.ts'
import { batches, due } from './push-plan.ts'
import { loadTree } from './tree-files.ts'

export interface SettleOptions extends SettlerPorts {
  book: EpochBook
  files: EpochFiles
  /** Address of the Settlement contract. */
  settlement: string
  /** Smallest payout that is pushed, units of 1e-18 OPEN. */
  pushThreshold: bigint
  sleep: (ms: number) => Promise<void>
  /** Unix milliseconds at which to stop. */
  deadline: number
  /** How long to wait for the chain when nothing moves, and how often to look. */
  idleMs: number
  pollMs: number
  log?: (event: Move) => void
}

interface Move {
  epoch: number
  item: string
  state: string
  note?: string
}

export interface SettleReport {
  moved: number
  settled: number[]
  /** What an alarm must name. */
  stuck: { epoch: number; item: string; why: string }[]
  waiting: { epoch: number; item: string; why: string }[]
}

/** Where an epoch stands after a pass over its items. */
interface Pass {
  moved: number
  ended: boolean
  /** The next epoch may begin. */
  active: boolean
  steps: Step[]
}

/**
 * Moves every open epoch as far as it goes before the deadline: propose, window, activate, pushes. Safe to run at any
 * moment, any number of times, and beside another settler (the lease decides); a throw leaves nothing half-done.
 */
export const settleEpochs = async (options: SettleOptions): Promise<SettleReport> => {
  const report: SettleReport = { moved: 0, settled: [], stuck: [], waiting: [] }
  let idleSince = options.now()
  for (;;) {
    const passes = await passOverEpochs(options, report)
    const moved = passes.reduce((sum, pass) => sum + pass.moved, 0)
    report.moved += moved
    if (passes.every((pass) => pass.ended)) return report
    if (moved === 0) await fillNonces(passes, options)
    if (moved > 0) idleSince = options.now()
    const nextTry = options.now() + (moved > 0 ? 0 : options.pollMs)
    if (nextTry >= options.deadline || !worthWaiting(passes, options, idleSince)) return report
    if (moved === 0) await options.sleep(options.pollMs)
  }
}

const fillNonces = async (passes: Pass[], options: SettleOptions): Promise<void> => {
  const filled = await fillGap(
    passes.flatMap(({ steps }) => steps),
    options,
  )
  if (filled !== undefined) options.log?.({ epoch: 0, item: `NONCE#${filled}`, state: 'FILLED' })
}

const worthWaiting = (passes: Pass[], options: SettleOptions, idleSince: number): boolean => {
  if (options.now() - idleSince < options.idleMs) return true
  return passes.some(({ steps }) =>
    steps.some(
      (step) => step.is === 'wait' && step.at !== undefined && step.at * 1000 + options.pollMs < options.deadline,
    ),
  )
}

const passOverEpochs = async (options: SettleOptions, report: SettleReport): Promise<Pass[]> => {
  const passes: Pass[] = []
  report.stuck = []
  report.waiting = []
  for (const epoch of await options.book.open()) {
    const pass = await passOverEpoch(epoch, options)
    passes.push(pass)
    for (const step of pass.steps) {
      const entry = { epoch: epoch.number, item: itemName(step.item) }
      if (step.is === 'stuck') report.stuck.push({ ...entry, why: step.why })
      if (step.is === 'wait' && isOpen(step.item)) report.waiting.push({ ...entry, why: step.why })
    }
    if (pass.ended && pass.active) report.settled.push(epoch.number)
    if (!pass.active) break
  }
  return passes
}

const passOverEpoch = async (epoch: EpochToSettle, options: SettleOptions): Promise<Pass> => {
  const { store, book, settlement } = options
  const pass: Pass = { moved: 0, ended: false, active: false, steps: [] }
  const walk = async (item: Item, call: () => Promise<string>) => {
    const step = await walkItem(item, options, call)
    pass.moved += step.item.version - item.version
    pass.steps.push(step)
    return step.item
  }

  const propose = await walk(await store.plan(newItem(epoch, 'propose', 0, settlement)), async () => proposeCall(epoch))
  if (propose.state === 'VETOED') {
    await book.mark(epoch, 'vetoed') // a run may have died before it could say so
    return { ...pass, ended: true }
  }
  if (!isMined(propose)) return pass
  let activate = await store.plan(newItem(epoch, 'activate', 0, settlement))
  if (activate.state === 'VETOED' || (await wasVetoed(propose, activate, options))) {
    for (const item of [activate, propose])
      if (item.state !== 'VETOED') await store.save({ ...item, state: 'VETOED', note: 'vetoed on chain' })
    await book.mark(epoch, 'vetoed')
    options.log?.({ epoch: epoch.number, item: 'PROPOSE', state: 'VETOED' })
    return { ...pass, moved: pass.moved + 2, ended: true }
  }
  if (activate.version === 0) await book.mark(epoch, 'proposed')
  activate = await walk(activate, async () => activateCall(epoch.number, epoch.root))
  if (!isMined(activate)) return pass
  pass.active = true

  const pushes = await walkPushes(epoch, options, walk)
  pass.ended = [propose, activate, ...pushes].every((item) => !isOpen(item))
  if (pass.ended) await book.mark(epoch, 'settled')
  return pass
}

/** Steps an item until it waits, is stuck, or has ended. */
const walkItem = async (item: Item, options: SettleOptions, call: () => Promise<string>): Promise<Step> => {
  let step: Step = { item, is: 'wait', why: 'it has ended' }
  while (isOpen(step.item)) {
    step = await advanceItem(step.item, options, call)
    if (step.is !== 'moved') return step
    const { epoch, state, note } = step.item
    options.log?.({ epoch, item: itemName(item), state, ...(note ? { note } : {}) })
    if (options.now() >= options.deadline) return step
  }
  return step
}

const walkPushes = async (
  epoch: EpochToSettle,
  options: SettleOptions,
  walk: (item: Item, call: () => Promise<string>) => Promise<Item>,
): Promise<Item[]> => {
  const planned = (await options.files.pushes(epoch.number)) ?? (await planPushes(epoch, options))
  const items: Item[] = []
  for (const [ordinal, positions] of planned.entries()) {
    const item = await options.store.plan(newItem(epoch, 'push', ordinal, options.settlement))
    const call = async () => payCall(positions, await loadTree(options.files, epoch.number))
    items.push(isOpen(item) ? await walk(item, call) : item)
  }
  return items
}

/** Fixes, once and for all, whom this epoch pushes: a later reading of the chain would cut other batches. */
const planPushes = async (epoch: EpochToSettle, options: SettleOptions): Promise<number[][]> => {
  const { chain, files, book, pushThreshold } = options
  await book.mark(epoch, 'active')
  const packed = await files.balances(epoch.number)
  const candidates: number[] = []
  for (let position = 0; position * 37 < packed.length; position++) {
    if (packed[position * 37] === 1 && amountAt(packed, position) >= pushThreshold) candidates.push(position)
  }
  const claimed = await chain.claimed(candidates.map((position) => accountAt(packed, position)))
  const payees = due(candidates, (position) => amountAt(packed, position), claimed, pushThreshold)
  return files.fixPushes(epoch.number, batches(payees, await files.depth(epoch.number)))
}

/** The proposal is final, and yet the final chain neither holds nor activated it: somebody vetoed. */
const wasVetoed = async (propose: Item, activate: Item, { chain }: SettleOptions): Promise<boolean> => {
  if (propose.state !== 'FINAL' || isMined(activate)) return false
  const { epoch, pending } = await chain.settlement('final')
  return epoch < propose.epoch && pending?.root !== propose.root
}
