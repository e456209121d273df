/** One client in the escrow at one block, units of 1e-18 OPEN. */
export interface EscrowClient {
  deposited: bigint
  withdrawn: bigint
  /** Asked back and not yet paid. */
  requested: bigint
}

export interface WithdrawalSource {
  client(address: string, view: 'latest' | 'final'): Promise<EscrowClient>
}

export interface WithdrawalBook {
  /** Clients that asked for money back and are not done. */
  leaving(): Promise<string[]>
  /** The client's account and what was taken from its balance so far; undefined: nothing was ever credited. */
  client(address: string): Promise<{ client: string; accountId: string; credited: bigint; out: bigint } | undefined>
  /** Takes as much of `amount` as is spendable. */
  take(client: { client: string; accountId: string; credited: bigint; out: bigint }, amount: bigint): Promise<bigint>
  giveBack(client: { client: string; accountId: string; credited: bigint; out: bigint }, amount: bigint): Promise<void>
  stay(address: string): Promise<void>
}

export interface WithdrawalMove {
  client: string
  taken: string
}

/**
 * Brings what was taken from each leaving client's balance to what the escrow paid it or is asked to pay it. It looks at
 * states, not at events, so it may run at any time and any number of times. A request counts from the latest block on; what
 * was taken comes back only when the latest and the final block agree. Should a reorganisation bring a request back after that,
 * the escrow still pays deposits less proved spending, and its delay is longer than an epoch.
 */
export const followWithdrawals = async (source: WithdrawalSource, book: WithdrawalBook): Promise<WithdrawalMove[]> => {
  const moves: WithdrawalMove[] = []
  for (const address of await book.leaving()) {
    const known = await book.client(address)
    if (!known) continue // not credited yet: it stays on the list until its deposit is
    const [latest, final] = await Promise.all([source.client(address, 'latest'), source.client(address, 'final')])
    const target = larger(latest.withdrawn + latest.requested, final.withdrawn + final.requested)
    let out = known.out
    if (target > out) out += await book.take(known, target - out)
    else if (target < out) {
      await book.giveBack(known, out - target)
      out = target
    }
    if (out !== known.out) moves.push({ client: address, taken: String(out - known.out) })
    if (latest.requested === 0n && final.requested === 0n && out === target) await book.stay(address)
  }
  return moves
}

// Math.max takes no bigint.
const larger = (a: bigint, b: bigint): bigint => {
  if (a < b) return b
  return a
}
