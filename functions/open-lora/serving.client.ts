import {
  InvokeEndpointWithResponseStreamCommand,
  type ResponseStream,
  SageMakerRuntimeClient,
} from '@aws-sdk/client-sagemaker-runtime'
import { OpenLedgerError } from '#schema/errors'
import { shardOrder } from './routing.ts'
import { customAttributes } from './signature.ts'

const client = new SageMakerRuntimeClient({ maxAttempts: 1 })

/**
 * Asks the shards in the adapter's own order until one takes the request, always by response stream: a buffered invoke
 * ends at 60 s. Yields the bytes of the reply as they come. Refusals of the serving image keep their meaning; on 429, 503
 * and a shard that is down the next one is asked. A shard that is not there at all is woken, and so is a pool without any;
 * where it may not be woken now, and no other shard answers, `wake`'s reason is the answer. A signature that is refused is
 * ours to mend: the secret is read afresh once, and it is never the caller who is told that the request was wrong.
 */
export const askInOrder = async (
  shards: string[],
  adapterId: string,
  body: string,
  by: { secret: (afresh: boolean) => Promise<string>; nowSeconds: number; wake: () => Promise<void> },
  ask = askEndpoint,
): Promise<AsyncIterable<Uint8Array>> => {
  let last: unknown = wakingUp()
  let refused: unknown
  let woken = false
  const wake = async () => {
    if (!woken) await by.wake().catch((error) => (refused = error))
    woken = true
  }
  let afresh = false
  const signed = async (endpoint: string) =>
    ask(endpoint, body, customAttributes(body, await by.secret(afresh), by.nowSeconds))
  for (const endpoint of shardOrder(adapterId, shards)) {
    try {
      return await signed(endpoint).catch((error) => {
        if (afresh || !(error instanceof SignatureRefused)) throw error
        afresh = true
        return signed(endpoint)
      })
    } catch (error) {
      last = error
      if (!(error instanceof OpenLedgerError) || !['overloaded', 'waking-up', 'unavailable'].includes(error.code))
        throw error
      if (error.code === 'waking-up') await wake()
    }
  }
  if (shards.length === 0) await wake()
  throw refused ?? last
}

/** The secret was rotated, and one of the two sides does not know yet. */
class SignatureRefused extends OpenLedgerError {
  constructor(cause: unknown) {
    super('unavailable', 'The model cannot answer now; try again.', { retryAfter: 5, cause })
  }
}

const wakingUp = (cause?: unknown) =>
  new OpenLedgerError('waking-up', 'The model is waking up; try again in a minute.', { retryAfter: 30, cause })

const askEndpoint = async (endpoint: string, body: string, attributes: string): Promise<AsyncIterable<Uint8Array>> => {
  try {
    const reply = await client.send(
      new InvokeEndpointWithResponseStreamCommand({
        EndpointName: endpoint,
        Body: Buffer.from(body),
        ContentType: 'application/json',
        CustomAttributes: attributes,
      }),
    )
    return payload(reply.Body!)
  } catch (error) {
    throw servingError(error)
  }
}

async function* payload(parts: AsyncIterable<ResponseStream>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) {
    if (part.PayloadPart?.Bytes) yield part.PayloadPart.Bytes
    const broken = part.ModelStreamError ?? part.InternalStreamFailure
    if (broken)
      throw new OpenLedgerError('unavailable', 'The model stopped in the middle of its answer.', { cause: broken })
  }
}

/** What SageMaker says of an invocation, in the words of the API. */
export const servingError = (error: unknown): OpenLedgerError => {
  const {
    name,
    OriginalStatusCode: status,
    OriginalMessage: message,
  } = error as { name: string; OriginalStatusCode?: number; OriginalMessage?: string }
  if (
    name === 'ValidationError' ||
    name === 'ValidationException' ||
    name === 'ServiceUnavailable' ||
    name === 'InternalDependencyException'
  )
    return wakingUp(error)
  const said = refusal(message)
  if (status === 429 || status === 503)
    return new OpenLedgerError('overloaded', 'The model is busy; try again.', { retryAfter: 2, cause: error })
  if (status === 401) return new SignatureRefused(error)
  if (status === 404) return new OpenLedgerError('model-not-found', said.message, { param: 'model', cause: error })
  if (status !== undefined && status >= 400 && status < 500)
    return new OpenLedgerError(
      said.code === 'context_length_exceeded' ? 'context-length-exceeded' : 'invalid-request',
      said.message,
      { ...(said.param ? { param: said.param } : {}), cause: error },
    )
  return new OpenLedgerError('unavailable', 'The model cannot answer now; try again.', { retryAfter: 5, cause: error })
}

const refusal = (body: string | undefined): { message: string; code: string; param: string | undefined } => {
  try {
    const { error } = JSON.parse(body ?? '')
    return { message: String(error.message), code: String(error.code ?? ''), param: error.param ?? undefined }
  } catch {
    return { message: 'The model refused the request.', code: '', param: undefined }
  }
}
