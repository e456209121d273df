import { ROUTES, type RouteId } from '#schema/api'

export interface Integration {
  uri: string
  stream: boolean
  timeoutMs: number
}

/**
 * OpenAPI 3.0.1 as API Gateway imports it: paths, parameters, the authorizer and the Lambda integrations. Bodies are
 * checked in the doors by the full schemas, so that every refusal is a problem document with a stable code.
 */
export const gatewayDocument = (props: {
  authorizerUri: string
  integrations: Partial<Record<string, Integration>>
  allowedOrigins: string[]
}): object => {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [id, route] of Object.entries(ROUTES)) {
    const integration = props.integrations[id as RouteId]
    if (!integration) continue
    const methods = paths[route.path] ?? { options: preflight(props.allowedOrigins) }
    paths[route.path] = methods
    methods[route.method.toLowerCase()] = {
      operationId: id,
      summary: route.summary,
      parameters: [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        name,
        in: 'path',
        required: true,
        schema: { type: 'string' },
      })),
      responses: { default: { description: 'reply or problem document' } },
      ...(route.access === 'public' ? {} : { security: [{ openledger: [] }] }),
      'x-amazon-apigateway-integration': {
        type: 'aws_proxy',
        httpMethod: 'POST',
        uri: integration.uri,
        passthroughBehavior: 'when_no_match',
        timeoutInMillis: integration.timeoutMs,
        ...(integration.stream ? { responseTransferMode: 'STREAM' } : {}),
      },
    }
  }
  return {
    openapi: '3.0.1',
    info: { title: 'OpenLedger', version: '1' },
    paths,
    components: {
      securitySchemes: {
        openledger: {
          type: 'apiKey',
          name: 'Authorization',
          in: 'header',
          'x-amazon-apigateway-authtype': 'custom',
          'x-amazon-apigateway-authorizer': {
            type: 'token',
            authorizerUri: props.authorizerUri,
            authorizerResultTtlInSeconds: 60,
            identitySource: 'method.request.header.Authorization',
          },
        },
      },
    },
    'x-amazon-apigateway-gateway-responses': gatewayResponses(props.allowedOrigins),
  }
}

const allowedHeaders = 'Authorization,Content-Type,Idempotency-Key'
const preflight = (origins: string[]) => ({
  responses: {
    '204': {
      description: 'preflight',
      headers: Object.fromEntries(
        ['Access-Control-Allow-Origin', 'Access-Control-Allow-Headers', 'Access-Control-Allow-Methods'].map((name) => [
          name,
          { schema: { type: 'string' } },
        ]),
      ),
    },
  },
  'x-amazon-apigateway-integration': {
    type: 'mock',
    requestTemplates: { 'application/json': '{"statusCode": 204}' },
    responses: {
      default: {
        statusCode: '204',
        responseParameters: {
          'method.response.header.Access-Control-Allow-Origin': `'${origins.length === 1 ? origins[0] : '*'}'`,
          'method.response.header.Access-Control-Allow-Headers': `'${allowedHeaders}'`,
          'method.response.header.Access-Control-Allow-Methods': "'GET,POST,PUT,DELETE,OPTIONS'",
        },
      },
    },
  },
})

/** What the gateway itself answers is a problem document too, which the `openai` clients can read. */
const gatewayResponses = (origins: string[]) => {
  const answer = (status: number, code: string, detail: string) => ({
    statusCode: status,
    responseParameters: {
      'gatewayresponse.header.Access-Control-Allow-Origin': `'${origins.length === 1 ? origins[0] : '*'}'`,
      'gatewayresponse.header.Content-Type': "'application/problem+json'",
    },
    responseTemplates: {
      'application/json': JSON.stringify({
        type: `urn:openledger:error:${code}`,
        title: code.replaceAll('-', ' '),
        status,
        code,
        detail,
        error: {
          message: detail,
          type: status === 401 ? 'authentication_error' : 'invalid_request_error',
          code,
          param: null,
        },
      }),
    },
  })
  return {
    UNAUTHORIZED: answer(401, 'unauthenticated', 'Send an Authorization header: Bearer <token or API key>.'),
    ACCESS_DENIED: answer(401, 'unauthenticated', 'This token or API key is unknown, expired or revoked.'),
    MISSING_AUTHENTICATION_TOKEN: answer(404, 'not-found', 'There is no such route.'),
    REQUEST_TOO_LARGE: answer(
      413,
      'payload-too-large',
      'The body is larger than 10 MB; upload data through a contribution.',
    ),
    THROTTLED: answer(429, 'rate-limited', 'Too many requests; slow down.'),
  }
}
