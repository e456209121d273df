import * as z from 'zod'
import { ROUTES } from './api.ts'
import { ERRORS } from './errors.ts'
import type { Route } from './routes/route.ts'

const json = (schema: z.ZodType, io: 'input' | 'output'): object => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

/** RFC 9457; under /v1 also `error`, the member that the `openai` clients read. */
const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { enum: Object.keys(ERRORS) },
    detail: { type: 'string' },
    param: { type: 'string', description: 'the field that was refused' },
    error: {
      type: 'object',
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        code: { type: 'string' },
        param: { type: ['string', 'null'] },
      },
    },
  },
}

const parametersOf = (schema: z.ZodObject | undefined, place: 'path' | 'query'): object[] => {
  if (!schema) return []
  const { properties = {}, required = [] } = json(schema, 'input') as {
    properties?: Record<string, object>
    required?: string[]
  }
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }))
}

const operationOf = (id: string, route: Route): object => ({
  operationId: id,
  summary: route.summary,
  tags: [route.door.split('/')[0]],
  security: route.access === 'public' ? [] : [{ bearer: [] }],
  'x-openledger-access': route.access,
  parameters: [
    ...parametersOf(route.params, 'path'),
    ...parametersOf(route.query, 'query'),
    ...(route.method === 'GET'
      ? []
      : [{ name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', maxLength: 255 } }]),
  ],
  ...(route.body
    ? { requestBody: { required: true, content: { 'application/json': { schema: json(route.body, 'input') } } } }
    : {}),
  responses: {
    [route.status ?? 200]: {
      description: route.summary,
      content: {
        'application/json': { schema: json(route.reply, 'output') },
        ...(route.stream ? { 'text/event-stream': { schema: { type: 'string' } } } : {}),
      },
    },
    default: {
      description: 'what was refused, and why',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  },
})

/** The API as one OpenAPI 3.1 document. API Gateway takes 3.0 only: infra/constructs/gateway-document.ts is its projection. */
export const openApiDocument = (): object => {
  const paths: Record<string, Record<string, object>> = {}
  for (const [id, route] of Object.entries(ROUTES) as [string, Route][]) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(id, route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'OpenLedger', version: '1', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: {
      schemas: { Problem: PROBLEM },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'a person’s token, or an API key (ol_...)' },
      },
    },
  }
}
