import { OpenLedgerError } from '#schema/errors'

/** What a cancelled transaction says of an item whose condition did not hold. */
export const FAILED = 'ConditionalCheckFailed'

/** Why one item of a cancelled transaction failed, in the order of its items; 'None' for those that did not. */
export const cancellationReasons = (error: unknown): string[] | undefined => {
  const { name, CancellationReasons } = error as { name?: string; CancellationReasons?: { Code?: string }[] }
  return name === 'TransactionCanceledException'
    ? (CancellationReasons ?? []).map((reason) => reason.Code ?? 'None')
    : undefined
}

const isContention = (error: unknown): boolean => {
  const name = (error as Error).name
  if (
    [
      'TransactionConflictException',
      'TransactionInProgressException',
      'ProvisionedThroughputExceededException',
      'ThrottlingException',
    ].includes(name)
  )
    return true
  const reasons = cancellationReasons(error)
  return reasons?.includes('TransactionConflict') === true && !reasons.includes(FAILED)
}

/**
 * Concurrent transactions on one item cancel each other, which is not an answer: try again with full jitter
 * (25 ms doubling to 800 ms, 12 times: 5 s on average, below every caller's time limit).
 */
export const throughContention = async <Reply>(write: () => Promise<Reply>, wait = sleep): Promise<Reply> => {
  for (let attempt = 0; ; attempt++) {
    try {
      return await write()
    } catch (error) {
      if (!isContention(error)) throw error
      if (attempt === 11)
        throw new OpenLedgerError('overloaded', 'The account is very busy; try again.', { retryAfter: 1, cause: error })
      await wait(Math.random() * Math.min(800, 25 * 2 ** attempt))
    }
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Full jitter before another look at an item that many are writing: up to 25 ms more each time, 400 ms at most. */
export const jitter = (attempt: number): Promise<void> => sleep(Math.random() * Math.min(400, 25 * attempt))
