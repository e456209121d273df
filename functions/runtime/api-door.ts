import middy from '@middy/core'
import type { APIGatewayProxyEvent, APIGatewayProxyResult, Context } from 'aws-lambda'
import type * as z from 'zod'
import { Caller } from '#schema/accounts'
import { ROUTES, type RouteId } from '#schema/api'
import { OpenLedgerError } from '#schema/errors'
import { logger } from './logger.ts'
import { problem } from './problem.ts'

type Routes = typeof ROUTES
type Parsed<Id extends RouteId, Part extends string> =
  Routes[Id] extends Record<Part, infer Schema extends z.ZodType> ? z.output<Schema> : undefined

export interface Visit<Id extends RouteId> {
  /** Null only on public routes. */
  caller: Caller
  params: Parsed<Id, 'params'>
  query: Parsed<Id, 'query'>
  body: Parsed<Id, 'body'>
  idempotencyKey: string | undefined
}

/**
 * A door of the API: checks who calls, parses what came in by the route's schemas, makes one domain call and checks
 * what goes out. Anything thrown becomes a problem document; what is not an OpenLedgerError becomes a 500 that tells nothing.
 */
export const apiDoor = <Id extends RouteId>(
  id: Id,
  visit: (visit: Visit<Id>) => Promise<z.input<Routes[Id]['reply']>>,
) => {
  const route = ROUTES[id] as (typeof ROUTES)[RouteId] & {
    params?: z.ZodType
    query?: z.ZodType
    body?: z.ZodType
    status?: number
  }
  return middy<APIGatewayProxyEvent, APIGatewayProxyResult>()
    .before(({ context }) => logger.addContext(context as Context))
    .onError((request) => {
      request.response = problem(request.error, request.event)
    })
    .handler(async (event): Promise<APIGatewayProxyResult> => {
      const reply = await visit({
        caller: callerOf(event, route.access) as Caller,
        params: parse(route.params, event.pathParameters ?? {}, 'path'),
        query: parse(route.query, event.queryStringParameters ?? {}, 'query'),
        body: parse(route.body, route.body && json(event), 'body'),
        idempotencyKey: header(event, 'idempotency-key'),
      } as Visit<Id>)
      const body = JSON.stringify(route.reply.parse(reply))
      return { statusCode: route.status ?? 200, headers: { 'content-type': 'application/json' }, body }
    })
}

export const header = (event: Pick<APIGatewayProxyEvent, 'headers'>, name: string): string | undefined =>
  Object.entries(event.headers ?? {}).find(([key]) => key.toLowerCase() === name)?.[1] ?? undefined

/** The caller that the authorizer proved, as the gateway hands it on; the route's access is checked again here. */
export const callerOf = (event: APIGatewayProxyEvent, access: (typeof ROUTES)[RouteId]['access']): Caller | null => {
  const proved = event.requestContext?.authorizer?.['caller'] as string | undefined
  if (!proved) {
    if (access === 'public') return null
    throw new OpenLedgerError('unauthenticated', 'Send an Authorization header: Bearer <token or API key>.')
  }
  const caller = Caller.parse(JSON.parse(proved))
  if ((access === 'person' || access === 'operator') && caller.kind !== 'person')
    throw new OpenLedgerError('forbidden', 'This route is for people: sign in, an API key is not enough.')
  if (access === 'operator' && !(caller.kind === 'person' && caller.operator))
    throw new OpenLedgerError('forbidden', 'This route is for operators.')
  if (access === 'client' && caller.kind !== 'client')
    throw new OpenLedgerError('forbidden', 'This route takes an API key: make one with POST /accounts/me/keys.')
  return caller
}

export const json = (event: Pick<APIGatewayProxyEvent, 'body' | 'isBase64Encoded'>): unknown => {
  const text = event.isBase64Encoded ? Buffer.from(event.body ?? '', 'base64').toString('utf8') : (event.body ?? '')
  try {
    return JSON.parse(text)
  } catch {
    throw new OpenLedgerError('invalid-json', 'The body is not JSON.')
  }
}

const parse = <Schema extends z.ZodType>(schema: Schema | undefined, value: unknown, where: string): unknown => {
  if (!schema) return undefined
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const param = issue.path.join('.') || where
  throw new OpenLedgerError('invalid-request', `${param}: ${issue.message}`, { param })
}
