import type { CloudFormationCustomResourceEvent } from 'aws-lambda'

/** Tells CloudFormation how a custom resource went (user guide, "Custom resource response objects"): a reason is a failure. */
export const answerCloudFormation = async (
  event: CloudFormationCustomResourceEvent,
  reason: string | undefined,
): Promise<void> => {
  const { StackId, RequestId, LogicalResourceId } = event
  const body = JSON.stringify({
    Status: reason === undefined ? 'SUCCESS' : 'FAILED',
    Reason: reason?.slice(0, 1000),
    PhysicalResourceId: 'PhysicalResourceId' in event ? event.PhysicalResourceId : LogicalResourceId,
    StackId,
    RequestId,
    LogicalResourceId,
  })
  // The presigned URL was signed without a content type.
  const reply = await fetch(event.ResponseURL, { method: 'PUT', body, headers: { 'content-type': '' } })
  if (!reply.ok) throw new Error(`CloudFormation did not take the answer: ${reply.status}`)
}
