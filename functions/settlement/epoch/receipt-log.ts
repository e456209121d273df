import { hash } from 'node:crypto'
import { Receipt } from '#schema/receipt'
import { isCanonical } from './canonical-line.ts'
import { EpochRefused } from './refusal.ts'

/** One object of the receipt log: its name (for messages) and its bytes, canonical receipts one a line, ending in \n. */
export interface LogObject {
  name: string
  bytes: Uint8Array
}

export interface LoggedReceipt {
  receipt: Receipt
  /** The line without its newline: what the receipts root is made of. */
  line: string
  where: string
}

const NEWLINE = 10
const ID = /"receiptId":"(rcp_[0-9a-f]{24})"/

/**
 * Reads receipt-log objects into receipts, in the order given. Exact duplicates are dropped; quarantined ids are passed
 * over whatever their bytes. Stops with a typed refusal that names the receipt (where one can be read) and the line:
 * torn or non-canonical lines, fields out of range, another epoch's stamp, one id with two contents, one place in a
 * payer's sequence with two receipts.
 */
export function* readReceiptLog(
  objects: Iterable<LogObject>,
  epoch: number,
  quarantined: ReadonlySet<string> = new Set(),
): Generator<LoggedReceipt> {
  const seen = new Map<string, string>()
  const places = new Map<string, string>()
  for (const object of objects) {
    for (const { line, where } of lines(object)) {
      const named = ID.exec(line)?.[1]
      if (named !== undefined && quarantined.has(named)) continue
      const receipt = parseReceipt(line, where, named)
      const { receiptId, payer, shard, sequence } = receipt.billing
      const digest = hash('sha256', line, 'base64')
      const before = seen.get(receiptId)
      if (before === digest) continue
      if (before !== undefined)
        throw new EpochRefused('conflicting-duplicate', 'this receipt stands twice with different bytes', {
          receiptId,
          where,
        })
      if (receipt.epoch !== epoch)
        throw new EpochRefused('foreign-epoch', `stamped ${receipt.epoch}, not ${epoch}`, { receiptId, where })
      const place = `${payer} ${shard} ${sequence}`
      const holder = places.get(place)
      if (holder !== undefined)
        throw new EpochRefused('sequence-reused', `${holder} has the same payer, shard and sequence`, {
          receiptId,
          where,
        })
      seen.set(receiptId, digest)
      places.set(place, receiptId)
      yield { receipt, line, where }
    }
  }
}

/** One line -> a receipt, or a refusal. The line must be the canonical JSON of what it says. */
const parseReceipt = (line: string, where: string, named: string | undefined): Receipt => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new EpochRefused('torn-line', 'not a whole JSON object', { receiptId: named, where })
  }
  const parsed = Receipt.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new EpochRefused('invalid-receipt', `${issue.path.join('.')}: ${issue.message}`, { receiptId: named, where })
  }
  if (!isCanonical(value, line))
    throw new EpochRefused('not-canonical', 'not canonical JSON (RFC 8785)', { receiptId: named, where })
  return parsed.data
}

function* lines({ name, bytes }: LogObject): Generator<{ line: string; where: string }> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let number = 0
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start)
    const end = newline < 0 ? bytes.length : newline
    const where = `${name}:${++number}`
    let line: string
    try {
      line = decoder.decode(bytes.subarray(start, end))
    } catch {
      throw new EpochRefused('not-utf8', 'the line is not UTF-8', { where })
    }
    yield { line, where }
    start = end + 1
  }
}
