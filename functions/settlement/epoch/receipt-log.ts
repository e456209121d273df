import { Receipt } from '#schema/receipt'
import { isCanonical } from './canonical-line.ts'
import type { Keccak } from './keccak.ts'
import { takeLists } from './long-lists.ts'
import { receiptLeaf } from './receipts-tree.ts'
import { EpochRefused } from './refusal.ts'

/** One object of the receipt log: its name (for messages) and its bytes, canonical receipts one a line, ending in \n. */
export interface LogObject {
  name: string
  bytes: Uint8Array
}

export interface LoggedReceipt {
  receipt: Receipt
  where: string
}

const NEWLINE = 10
const ID = /"receiptId":"(rcp_[0-9a-f]{24})"/

/**
 * Reads receipt-log objects, one `read` each, in the order given. Exact duplicates are dropped; quarantined ids are passed
 * over whatever their bytes. Stops with a typed refusal that names the receipt (where one can be read) and the line:
 * torn or non-canonical lines, fields out of range, another epoch's stamp, one id with two contents, one place in a
 * payer's sequence with two receipts. `leaves`: what the receipts root is made of, by receipt id.
 */
export const receiptLogReader = (epoch: number, quarantined: ReadonlySet<string>, keccak: Keccak) => {
  const leaves = new Map<string, Uint8Array>()
  const places = new Map<string, string>()
  function* read(object: LogObject): Generator<LoggedReceipt> {
    for (const { bytes, line, where } of lines(object)) {
      const named = ID.exec(line)?.[1]
      if (named !== undefined && quarantined.has(named)) continue
      const receipt = parseReceipt(line, where, named)
      const { receiptId, payer, shard, sequence } = receipt.billing
      const leaf = receiptLeaf(keccak, bytes)
      const before = leaves.get(receiptId)
      if (before !== undefined) {
        if (Buffer.compare(before, leaf) === 0) continue
        throw new EpochRefused('conflicting-duplicate', 'this receipt stands twice with different bytes', {
          receiptId,
          where,
        })
      }
      if (receipt.epoch !== epoch)
        throw new EpochRefused('foreign-epoch', `stamped ${receipt.epoch}, not ${epoch}`, { receiptId, where })
      const place = `${payer} ${shard} ${sequence}`
      const holder = places.get(place)
      if (holder !== undefined)
        throw new EpochRefused('sequence-reused', `${holder} has the same payer, shard and sequence`, {
          receiptId,
          where,
        })
      leaves.set(receiptId, leaf)
      places.set(place, receiptId)
      yield { receipt, where }
    }
  }
  return { read, leaves }
}

/** One line -> a receipt, or a refusal. The line must be the canonical JSON of what it says. */
const parseReceipt = (line: string, where: string, named: string | undefined): Receipt => {
  const { skeleton, taken } = takeLists(line)
  let value: unknown
  let lists: Partial<Receipt['attribution']>
  try {
    value = JSON.parse(skeleton)
    lists = Object.fromEntries(Object.entries(taken).map(([name, json]) => [name, JSON.parse(json)]))
  } catch {
    throw new EpochRefused('torn-line', 'not a whole JSON object', { receiptId: named, where })
  }
  const parsed = Receipt.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new EpochRefused('invalid-receipt', `${issue.path.join('.')}: ${issue.message}`, { receiptId: named, where })
  }
  if (!isCanonical(value, skeleton))
    throw new EpochRefused('not-canonical', 'not canonical JSON (RFC 8785)', { receiptId: named, where })
  Object.assign(parsed.data.attribution, lists)
  return parsed.data
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function* lines({ name, bytes }: LogObject): Generator<{ bytes: Uint8Array; line: string; where: string }> {
  let number = 0
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start)
    const part = bytes.subarray(start, newline < 0 ? bytes.length : newline)
    const where = `${name}:${++number}`
    let line: string
    try {
      line = decoder.decode(part)
    } catch {
      throw new EpochRefused('not-utf8', 'the line is not UTF-8', { where })
    }
    yield { bytes: part, line, where }
    start += part.length + 1
  }
}
