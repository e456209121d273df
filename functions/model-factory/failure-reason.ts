import * as z from 'zod'
import { TrainingRequested } from '#schema/events'

/** What a Catch of Step Functions says of the state that failed. */
export const StepError = z.object({ Error: z.string(), Cause: z.string().optional() })
type StepError = z.output<typeof StepError>

/** What the flow's own Catch sends, and what EventBridge sends of a flow that was stopped from outside. */
const Caught = TrainingRequested.extend({ error: StepError.partial() })
const Stopped = z.looseObject({ detail: z.looseObject({ status: z.string(), input: z.string() }) })

/** Which attempt failed and why, out of either event; throws on any other shape. */
export const failedAttempt = (event: unknown): { trainingId: string; attempt: number; reason: string } => {
  const caught = Caught.safeParse(event)
  if (caught.success) {
    const { trainingId, attempt, error } = caught.data
    return { trainingId, attempt, reason: failureReason(error) }
  }
  const { status, input } = Stopped.parse(event).detail
  return {
    ...TrainingRequested.parse(JSON.parse(input)),
    reason: `The training flow ended as ${status.toLowerCase()} before it was done.`,
  }
}

/** What a builder reads whose adapter is there while its endpoints may not be made. */
export const withoutEndpoint = (error: StepError): string =>
  `The adapter has no running endpoint: its first request starts one as soon as it may run. ${failureReason(error)}`

/**
 * The reason a person can act on, out of what Step Functions says of a failed state: for a training job the `Cause` is
 * the job's description, whose FailureReason holds the image's own words (its output/failure).
 */
export const failureReason = (error: { Error?: string | undefined; Cause?: string | undefined }): string => {
  const said = error.Cause ?? error.Error ?? 'unknown'
  try {
    const cause = JSON.parse(said) as Record<string, unknown>
    if (cause['SecondaryStatus'] === 'MaxRuntimeExceeded')
      return 'time-limit: the job was stopped when the seconds of limits.maxSeconds were over: raise the limit or train fewer steps.'
    const reason = cause['FailureReason'] ?? cause['errorMessage'] ?? cause['TrainingJobStatus']
    return String(reason ?? said).slice(0, 1024)
  } catch {
    return said.slice(0, 1024)
  }
}
