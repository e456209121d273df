/** What the watcher says of a pending root. Pure. */

/** A proposal as the chain holds it. Amounts in units of 1e-18 OPEN, times in unix seconds. */
export interface Proposal {
  epoch: number
  /** Root of the last active epoch; zero before the first. */
  prevRoot: string
  root: string
  receiptsRoot: string
  dataHash: string
  total: bigint
  debits: bigint
  proposedAt: number
  activatesAt: number
  /** Time of the block in which all this was read. */
  now: number
}

/** The same facts as the watcher's own calculation gives them. */
export type Recomputed = Omit<Proposal, 'epoch' | 'proposedAt' | 'activatesAt' | 'now'>

/** The log says something else, or cannot be the log of any epoch. */
export class NotRecomputable extends Error {}

export type Verdict =
  | { is: 'right' }
  /** A short machine word for the log, and what differs. */
  | { is: 'veto'; why: string }
  /** The watcher's own trouble: look again, unless half the window is over. */
  | { is: 'unknown'; why: string }

const FIELDS = ['prevRoot', 'root', 'receiptsRoot', 'dataHash', 'total', 'debits'] as const

export const judge = (proposal: Proposal, recomputed: Recomputed): Verdict => {
  const wrong = FIELDS.filter((field) => proposal[field] !== recomputed[field])
  if (wrong.length === 0) return { is: 'right' }
  const detail = wrong.map((field) => `${field} is ${proposal[field]}, recomputed ${recomputed[field]}`)
  return { is: 'veto', why: detail.join('; ') }
}

/** A root that nobody could check by half of its window does not become active. */
export const judgeFailure = (proposal: Proposal, error: Error): Verdict => {
  if (error instanceof NotRecomputable) return { is: 'veto', why: error.message }
  const half = proposal.proposedAt + (proposal.activatesAt - proposal.proposedAt) / 2
  return { is: proposal.now >= half ? 'veto' : 'unknown', why: `it could not be recomputed: ${error.message}` }
}
