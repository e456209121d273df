/** A deposit as the chain logged it. The identity of the log is the key of its credit. */
export interface Deposit {
  /** Lower-case address whose balance it is. */
  client: string
  /** Units of 1e-18 OPEN. */
  amount: bigint
  transactionHash: string
  logIndex: number
  block: number
}

export interface DepositSource {
  finalBlock(): Promise<number>
  latestBlock(): Promise<number>
  /** Clients that asked for money back in the blocks from..to. @throws RangeTooLarge when the node refuses the range */
  requests(from: number, to: number): Promise<string[]>
  /** Deposits of the blocks from..to, both inclusive. @throws RangeTooLarge when the node refuses the range */
  deposits(from: number, to: number): Promise<Deposit[]>
}

/** The node answers only smaller ranges. */
export class RangeTooLarge extends Error {}

export interface DepositBook {
  /** Last block that was scanned; undefined before the first scan. */
  scannedTo(): Promise<number | undefined>
  /** Never moves back. */
  setScannedTo(block: number): Promise<void>
  /** Credits the account that is paid at the address, once per reference. `no-account`: nobody has named it yet. */
  credit(deposit: Deposit, reference: string): Promise<'credited' | 'repeated' | 'no-account'>
  /** Keeps a deposit until an account names its address. */
  keepUnmatched(deposit: Deposit, reference: string): Promise<void>
  /** Puts a client on the list of those whose withdrawals are followed. */
  leave(client: string): Promise<void>
  unmatched(): Promise<{ deposit: Deposit; reference: string }[]>
  forgetUnmatched(reference: string): Promise<void>
}

export interface ScanOptions {
  chainId: number
  /** Block of the escrow's deployment. */
  fromBlock: number
  /** Blocks scanned again each time: finality tags of different nodes differ a little, and crediting twice is impossible. */
  overlap: number
  /** Blocks a request. */
  range: number
}

export interface ScanReport {
  scannedTo: number
  credited: { reference: string; client: string; amount: string }[]
  unmatched: number
}

/** chainId:txHash:logIndex, lower case. */
export const depositReference = (chainId: number, deposit: Deposit): string =>
  `${chainId}:${deposit.transactionHash.toLowerCase()}:${deposit.logIndex}`

/**
 * Credits every deposit up to the final block, exactly once: the cursor moves only after a range is credited, and the
 * credit is keyed by the log. A deposit to an address that no account names waits and is tried again each time. Clients that
 * ask for money back are put on a list on the way, up to the latest block (`follow-withdrawals.ts`).
 */
export const scanDeposits = async (
  source: DepositSource,
  book: DepositBook,
  options: ScanOptions,
): Promise<ScanReport> => {
  const report: ScanReport = { scannedTo: options.fromBlock - 1, credited: [], unmatched: 0 }
  for (const { deposit, reference } of await book.unmatched()) {
    const outcome = await book.credit(deposit, reference)
    if (outcome === 'no-account') report.unmatched++
    else await book.forgetUnmatched(reference)
    if (outcome === 'credited') report.credited.push(line(deposit, reference))
  }
  const [final, latest] = [await source.finalBlock(), await source.latestBlock()]
  const last = await book.scannedTo()
  let from = last === undefined ? options.fromBlock : Math.max(options.fromBlock, last + 1 - options.overlap)
  let range = options.range
  report.scannedTo = last ?? report.scannedTo
  while (from <= Math.max(final, latest)) {
    const end = from <= final ? final : latest
    const to = Math.min(end, from + range - 1)
    const found = await read(source, from, to, final)
    if (!found) {
      if (range === 1) throw new RangeTooLarge(`the node refuses even block ${from} alone`)
      range = Math.ceil(range / 2)
      continue
    }
    for (const client of found.requests) await book.leave(client)
    for (const deposit of found.deposits) await take(deposit, book, options, report)
    if (to <= final) {
      await book.setScannedTo(to)
      report.scannedTo = to
    }
    from = to + 1
  }
  return report
}

/** Requests count from the latest block on, deposits only when final. */
const read = async (source: DepositSource, from: number, to: number, final: number) => {
  try {
    const requests = await source.requests(from, to)
    return { requests, deposits: to <= final ? await source.deposits(from, to) : [] }
  } catch (error) {
    if (error instanceof RangeTooLarge) return undefined
    throw error
  }
}

const take = async (deposit: Deposit, book: DepositBook, options: ScanOptions, report: ScanReport): Promise<void> => {
  const reference = depositReference(options.chainId, deposit)
  const outcome = await book.credit(deposit, reference)
  if (outcome === 'credited') report.credited.push(line(deposit, reference))
  if (outcome !== 'no-account') return
  await book.keepUnmatched(deposit, reference)
  report.unmatched++
}

const line = (deposit: Deposit, reference: string) => ({
  reference,
  client: deposit.client,
  amount: String(deposit.amount),
})
