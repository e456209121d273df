import { judge, judgeFailure, type Proposal, type Recomputed, type Verdict } from './verdict.ts'

export interface WatcherPorts {
  /** The proposal in its window, if any, read at one block. */
  pending(): Promise<Proposal | null>
  /** From the receipt log alone. @throws NotRecomputable when the log cannot give any root; other errors are the watcher's own */
  recompute(epoch: number): Promise<Recomputed>
  /** Vetoes on chain and waits until it is mined. @throws when it could not be sent */
  veto(epoch: number, root: string): Promise<void>
}

export type WatchReport = { epoch: number; root: string } & Verdict

/** Recomputes the pending root and vetoes it unless every fact agrees. Safe to run at any moment, any number of times. */
export const watchRoot = async (ports: WatcherPorts): Promise<WatchReport | null> => {
  const proposal = await ports.pending()
  if (!proposal) return null
  const verdict = await ports.recompute(proposal.epoch).then(
    (recomputed) => judge(proposal, recomputed),
    (error: Error) => judgeFailure(proposal, error),
  )
  if (verdict.is === 'veto') await ports.veto(proposal.epoch, proposal.root)
  return { epoch: proposal.epoch, root: proposal.root, ...verdict }
}
