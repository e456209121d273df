import * as z from 'zod'
import { ObjectCreated } from '#schema/events'
import { FILE_REFUSALS } from '../formats/refusals.ts'
import { quarantined } from '../places.ts'
import { Reason, Upload } from './flow.ts'

export interface Failure {
  upload: Pick<Upload, 'datanetId' | 'contributionId'>
  execution: string
  reason: Reason
  rejected?: number | undefined
}

/** A state found something wrong with the upload. */
const Refused = z.object({
  upload: Upload,
  execution: z.string(),
  reason: Reason,
  rejected: z.number().int().optional(),
})
/** A state failed on our side after its retries; what failed is in the execution's history, not on the contribution. */
const Faulted = z.object({ event: ObjectCreated, execution: z.string() })
/** The execution itself was stopped, or ran into its time limit (EventBridge, "Step Functions Execution Status Change"). */
const Stopped = z.object({ detail: z.object({ executionArn: z.string(), input: z.string() }) })

const FAULT: Reason = { code: 'ingestion-failed', detail: FILE_REFUSALS['ingestion-failed'] }

/** What has to be recorded as rejected and why; undefined where the event named no contribution. */
export const failureOf = (input: unknown): Failure | undefined => {
  const refused = Refused.safeParse(input).data
  if (refused) return refused
  const stopped = Stopped.safeParse(input).data
  const { event, execution } = stopped
    ? { event: ObjectCreated.parse(JSON.parse(stopped.detail.input)), execution: stopped.detail.executionArn }
    : Faulted.parse(input)
  const upload = quarantined(event.detail.object.key)
  return upload && { upload, execution, reason: FAULT }
}
