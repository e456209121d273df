import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import canonicalize from 'canonicalize'
import type { Receipt } from '#schema/receipt'
import { type Accounts, type Posted, writeAccounts } from './closing.ts'
import { dataHash, type EpochInputs, parseEpochInputs } from './inputs.ts'
import type { Keccak } from './keccak.ts'
import { LEAF_BYTES } from './leaf.ts'
import { buildTree, hex, rootOf } from './merkle-tree.ts'
import { postBalances } from './post-balances.ts'
import { postByScan } from './post-balances-by-scan.ts'
import { receiptChecker } from './receipt-check.ts'
import { type LogObject, receiptLogReader } from './receipt-log.ts'
import { receiptsTree } from './receipts-tree.ts'
import { EpochRefused } from './refusal.ts'
import { rootByFrontier } from './root-by-frontier.ts'
import { setCalculator } from './set-calculator.ts'
import { streamCalculator } from './stream-calculator.ts'

export interface EpochSource {
  /** Bytes of `epoch-inputs.json`. */
  inputs: Uint8Array
  /** `balances.bin` of the previous epoch; empty before the first. */
  previousBalances: Uint8Array
  /** Taken one after the other, so that a source that reads them on demand needs no memory for the whole log. */
  objects: Iterable<LogObject> | AsyncIterable<LogObject>
}

/** The closed epoch in the numbers that the settler and the contract need; amounts are digit strings. */
export interface EpochFile {
  format: 'openledger-epoch-1'
  number: number
  prevRoot: string
  root: string
  receiptsRoot: string
  dataHash: string
  /** Sum of the earned leaves, and how much of it this epoch added. */
  total: string
  rise: string
  /** Fees of the receipts, what went back to clients, and the difference: what the escrow is debited. */
  billed: string
  refunds: string
  debits: string
  receipts: number
  payees: number
  leaves: number
  treeDepth: number
  closedAt: string
  unassigned: { payee: string; amount: string }[]
  unassignedSpent: { client: string; amount: string }[]
  /** sha256 of the other files of the epoch. */
  files: Record<string, string>
}

export interface ClosedEpoch {
  epoch: EpochFile
  /** Relative name -> bytes; `epoch.json` is last, so that its presence says that the rest is there. */
  files: Map<string, Uint8Array>
}

/**
 * Closes an epoch from its log alone: reads and checks every receipt, calculates twice, posts twice, hashes twice, and
 * gives the files only when all agree to the byte. Pure: the same bytes in give the same bytes out, in whatever order
 * the objects and lines come. Throws EpochRefused; nothing is half-done then, as nothing is written here.
 */
export const closeEpoch = async (source: EpochSource, keccak: Keccak): Promise<ClosedEpoch> => {
  const inputs = parseEpochInputs(source.inputs)
  await checkPrevious(inputs, source.previousBalances, keccak)
  const { leaves, accounts, again } = await readAndCalculate(source.objects, inputs, keccak)
  const text = agree('lines, charges and sums', writeAccounts(accounts), writeAccounts(again))
  const posted = postBalances(source.previousBalances, inputs, accounts)
  agree('balances', describe(posted), describe(postByScan(source.previousBalances, inputs, accounts)))
  const tree = buildTree(keccak, posted.packed, inputs.treeDepth)
  const root = agree('roots', hex(rootOf(keccak, tree)), await rootByFrontier(posted.packed, inputs.treeDepth))
  const proofs = receiptsTree(keccak, leaves)

  const files = new Map<string, Uint8Array>([
    ['lines.jsonl', Buffer.from(text.lines)],
    ['charges.jsonl', Buffer.from(text.charges)],
    ['sums.jsonl', Buffer.from(text.sums)],
    ['balances.bin', posted.packed],
    ['receipts/ids.bin', proofs.ids],
  ])
  const digests = Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)]))
  proofs.tree.levels.forEach((level, k) => {
    files.set(`receipts/level-${k}.bin`, level)
  })
  tree.levels.forEach((level, k) => {
    files.set(`tree/level-${k}.bin`, level)
  })
  const epoch: EpochFile = {
    format: 'openledger-epoch-1',
    number: inputs.epoch,
    prevRoot: inputs.previous.root,
    root,
    receiptsRoot: hex(rootOf(keccak, proofs.tree)),
    dataHash: dataHash(inputs),
    ...totals(accounts, posted),
    receipts: leaves.size,
    payees: new Set(accounts.lines.map(({ payee }) => payee)).size,
    leaves: posted.packed.length / LEAF_BYTES,
    treeDepth: inputs.treeDepth,
    closedAt: inputs.closedAt,
    unassigned: posted.unassigned.map(({ payee, amount }) => ({ payee, amount: String(amount) })),
    unassignedSpent: posted.unassignedSpent.map(({ client, amount }) => ({ client, amount: String(amount) })),
    files: digests,
  }
  files.set('epoch.json', Buffer.from(`${canonicalize(epoch)}\n`))
  return { epoch, files }
}

/** Receipts that are kept for the second calculator until it takes them: few, so that they die young in the collector. */
const BATCH = 32

const readAndCalculate = async (objects: EpochSource['objects'], inputs: EpochInputs, keccak: Keccak) => {
  const checker = receiptChecker(inputs)
  const first = streamCalculator(inputs)
  const second = setCalculator(inputs)
  let batch: Receipt[] = []
  const { read, leaves } = receiptLogReader(
    inputs.epoch,
    new Set(inputs.quarantined.map(({ receiptId }) => receiptId)),
    keccak,
  )
  for await (const object of objects)
    for (const logged of read(object)) {
      checker.check(logged)
      first.add(logged.receipt)
      if (batch.push(logged.receipt) < BATCH) continue
      second.add(batch)
      batch = []
    }
  second.add(batch)
  checker.finish()
  return { leaves, accounts: first.finish(), again: second.finish() }
}

/** The previous balances must be those that the inputs name, and have the previous root. */
const checkPrevious = async (inputs: EpochInputs, balances: Uint8Array, keccak: Keccak) => {
  if (inputs.previous.balances === null && balances.length > 0)
    throw new EpochRefused('previous-balances-differ', 'there are balances before the first epoch')
  if (inputs.previous.balances !== null && sha256(balances) !== inputs.previous.balances)
    throw new EpochRefused(
      'previous-balances-differ',
      'previous-balances.bin is missing or not the one that epoch-inputs.json names',
    )
  const expected =
    inputs.previous.epoch === 0
      ? `0x${'0'.repeat(64)}`
      : hex(rootOf(keccak, buildTree(keccak, balances, inputs.treeDepth)))
  if (inputs.previous.root !== expected)
    throw new EpochRefused(
      'previous-root-differs',
      `the previous balances have the root ${expected}, not ${inputs.previous.root}`,
    )
}

const totals = (accounts: Accounts, posted: Posted) => {
  const billed = accounts.charges.reduce((sum, { fees }) => sum + fees, 0n)
  const refunds = accounts.charges.reduce((sum, { refunds }) => sum + refunds, 0n)
  const paid = accounts.lines.reduce((sum, { amount }) => sum + amount, 0n)
  if (billed !== paid + refunds)
    throw new EpochRefused('calculators-differ', `billed ${billed} is not lines ${paid} + refunds ${refunds}`)
  return {
    total: String(posted.total),
    rise: String(posted.rise),
    billed: String(billed),
    refunds: String(refunds),
    debits: String(billed - refunds),
  }
}

const agree = <Value>(what: string, first: Value, second: Value): Value => {
  if (!isDeepStrictEqual(first, second))
    throw new EpochRefused('calculators-differ', `the two calculators disagree on the ${what}`)
  return first
}

const describe = ({ packed, unassigned, unassignedSpent, total, rise, touched }: Posted) => ({
  packed: sha256(packed),
  unassigned: unassigned.map(({ payee, amount }) => [payee, String(amount)]),
  unassignedSpent: unassignedSpent.map(({ client, amount }) => [client, String(amount)]),
  total: String(total),
  rise: String(rise),
  touched: touched.length > 0 ? sha256(new Uint8Array(Uint32Array.from(touched).buffer)) : '',
})

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
