import { InvokeEndpointAsyncCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime'

const client = new SageMakerRuntimeClient({ maxAttempts: 2 })

/** A request that did not start by then is dropped, as a failure: time enough for an endpoint to come up from zero. */
const QUEUED_SECONDS = 3600
/** Longest one request may run, SageMaker's limit (API_runtime_InvokeEndpointAsync). */
const RUNNING_SECONDS = 3600
/** By then there is an answer or a failure; who has neither is asked for again. */
export const ANSWER_DUE_MS = (QUEUED_SECONDS + RUNNING_SECONDS + 60) * 1000

/**
 * Hands a request that lies in S3 to an asynchronous endpoint. The answer, or the failure, comes as an object in S3;
 * returns the key of the one that would say that it failed.
 */
export const askAsynchronously = async (endpoint: string, inputLocation: string, id: string): Promise<string> => {
  const { FailureLocation } = await client.send(
    new InvokeEndpointAsyncCommand({
      EndpointName: endpoint,
      InputLocation: inputLocation,
      InferenceId: id,
      ContentType: 'application/json',
      RequestTTLSeconds: QUEUED_SECONDS,
      InvocationTimeoutSeconds: RUNNING_SECONDS,
    }),
  )
  return new URL(FailureLocation!).pathname.slice(1)
}
