import type { Scoring } from '#schema/receipt'

export interface FailurePorts {
  /** The receipts that the failed request asked for. */
  receiptsOf(failureKey: string): Promise<string[]>
  scoring(receiptId: string): Promise<Scoring | undefined>
  /** Notes the failure on a receipt; false when a newer request asks for it already. */
  failed(failureKey: string, receiptId: string, failure: string, at: Date, nextAt: Date): Promise<boolean>
  /** Brings receipts to the attribution worker again, so many seconds from now. */
  again(receiptIds: readonly string[], seconds: number): Promise<void>
  now(): Date
}

/** The longest delay of an SQS message; what waits longer is brought by the schedule (requeue-pending). */
const MAX_DELAY = 900

/** Seconds until a receipt is asked for again after its `attempts`-th failure: 30 s, 2 min, 8 min, 32 min, then each hour. */
export const retryAfter = (attempts: number): number => Math.min(30 * 4 ** (attempts - 1), 3600)

/**
 * Why a request failed, from what SageMaker wrote to the failure location: the influence image's own code where it
 * answered, `expired` where it never got its turn. The rest of the text is not kept.
 */
export const failureOf = (text: string): string =>
  /\binfluence\.[a-z_]{1,60}\b/.exec(text)?.[0] ?? (/\bexpired\b/i.test(text) ? 'expired' : 'endpoint-failed')

/**
 * An asynchronous request failed: each of its receipts says so, stays pending and is asked for again, later each time,
 * until the worker gives it up. Throws `not-found` for a request that is not known (yet): the event then comes again.
 */
export const takeFailure = async (
  ports: FailurePorts,
  failureKey: string,
  text: string,
): Promise<{ failure: string; receiptIds: string[] }> => {
  const failure = failureOf(text)
  const at = ports.now()
  const receiptIds: string[] = []
  const bySeconds = new Map<number, string[]>()
  for (const receiptId of await ports.receiptsOf(failureKey)) {
    const seconds = retryAfter((await ports.scoring(receiptId))?.attempts ?? 1)
    const nextAt = new Date(at.getTime() + seconds * 1000)
    if (!(await ports.failed(failureKey, receiptId, failure, at, nextAt))) continue
    receiptIds.push(receiptId)
    bySeconds.set(seconds, [...(bySeconds.get(seconds) ?? []), receiptId])
  }
  for (const [seconds, ids] of bySeconds) if (seconds <= MAX_DELAY) await ports.again(ids, seconds)
  return { failure, receiptIds }
}
