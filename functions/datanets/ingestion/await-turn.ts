import type { IngestionRecords } from '../ingestion-records.store.ts'
import type { Upload } from './flow.ts'

/** An execution is over after three hours (the flow's time limit); a ticket older than this holds nobody up any more. */
const ABANDONED_MS = 4 * 3600 * 1000
/** Short waits are spent here, which saves state transitions and keeps small uploads quick. */
const PATIENCE_MS = 5000
const POLL_MS = 200

/** Whether all contributions with an earlier place in the registry are decided; if not, in how many seconds to ask again. */
export const awaitTurn = async (
  records: Pick<IngestionRecords, 'ticket' | 'firstTicket'>,
  upload: Upload,
  now: () => Date,
): Promise<{ ready: true; ticket: number } | { ready: false; seconds: number }> => {
  const ticket = await records.ticket(upload)
  if (!ticket) throw new Error(`${upload.contributionId} has no place in the registry`)
  const until = now().getTime() + PATIENCE_MS
  for (;;) {
    const first = await records.firstTicket(upload.datanetId, new Date(now().getTime() - ABANDONED_MS).toISOString())
    if (first === undefined || first >= ticket) return { ready: true, ticket }
    if (now().getTime() >= until) return { ready: false, seconds: 3 }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
