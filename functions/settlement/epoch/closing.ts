export type Capacity = 'contributor' | 'owner' | 'stakers' | 'platform' | 'treasury'

/** What one payee earned through one adapter in this epoch, in one capacity; units of 1e-18 OPEN. */
export interface EarnedLine {
  payee: string
  as: Capacity
  adapterId: string
  amount: bigint
}

/** What one client paid in this epoch: fees of its receipts, and what of them comes back as residual. */
export interface Charge {
  client: string
  fees: bigint
  refunds: bigint
}

/** Evidence of one cluster summed over the epoch, in fine units (2^-20 of 1e-18 OPEN); influence is signed. */
export interface ClusterSum {
  adapterId: string
  cluster: string
  contributor: string
  provenance: bigint
  influence: bigint
}

/** Outcome of a calculator: what the receipts alone decide. Every list is in canonical order. */
export interface Accounts {
  /** Ordered by adapterId, capacity (alphabetical), payee. No zero lines. */
  lines: EarnedLine[]
  /** Ordered by client. */
  charges: Charge[]
  /** Ordered by adapterId, cluster. */
  sums: ClusterSum[]
}

/** Cumulative state after the epoch. `packed` holds the leaves by position, 37 bytes each (see leaf.ts). */
export interface Posted {
  packed: Uint8Array
  unassigned: { payee: string; amount: bigint }[]
  unassignedSpent: { client: string; amount: bigint }[]
  /** Sum of the earned leaves, and what this epoch added to it. */
  total: bigint
  rise: bigint
  /** Positions whose leaf changed, ascending; new ones included. */
  touched: number[]
}

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Rows of one shape as canonical JSON lines: keys ascending, bigints as digit strings. */
const text = (rows: readonly object[]): string => {
  const keys = Object.keys(rows[0] ?? {}).sort()
  const line = (row: Record<string, unknown>) =>
    keys.map(
      (key) => `${JSON.stringify(key)}:${JSON.stringify(typeof row[key] === 'bigint' ? String(row[key]) : row[key])}`,
    )
  return rows.map((row) => `{${line(row as Record<string, unknown>).join(',')}}\n`).join('')
}

/** The bytes in which two calculators must agree: lines, charges and sums as canonical JSONL. */
export const writeAccounts = (accounts: Accounts) => ({
  lines: text(accounts.lines),
  charges: text(accounts.charges),
  sums: text(accounts.sums),
})
