import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda'
import { ERRORS, OpenLedgerError } from '#schema/errors'
import { logger } from './logger.ts'

/**
 * RFC 9457 problem document; under /v1 it also carries the `error` member, the only one the `openai` clients read.
 * Errors of ours below 500 are told in full; anything else is logged and answered with its code alone.
 */
const problemBody = (
  error: unknown,
  path: string,
): { status: number; body: string; retryAfter: number | undefined } => {
  const known = error instanceof OpenLedgerError ? error : undefined
  if (!known || known.status >= 500)
    logger.error('request failed', { path, error: error instanceof Error ? error : new Error(String(error)) })
  const code = known?.code ?? 'internal'
  const detail = known?.message ?? 'Something failed on our side; try again, and report the request id if it stays.'
  const status = ERRORS[code]
  const document = {
    type: `urn:openledger:error:${code}`,
    title: code.replaceAll('-', ' '),
    status,
    code,
    detail,
    ...(known?.param ? { param: known.param } : {}),
    ...(path.includes('/v1/')
      ? { error: { message: detail, type: openAiType(status), code, param: known?.param ?? null } }
      : {}),
  }
  return { status, body: JSON.stringify(document), retryAfter: known?.retryAfter }
}

export const problem = (error: unknown, event: Partial<APIGatewayProxyEvent> | undefined): APIGatewayProxyResult => {
  const { status, body, retryAfter } = problemBody(error, event?.path ?? '')
  const headers = {
    'content-type': 'application/problem+json',
    ...(retryAfter ? { 'retry-after': String(retryAfter) } : {}),
  }
  return { statusCode: status, headers, body }
}

const openAiType = (status: number): string => {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}
