import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { ROUTES } from '#schema/api'
import { openApiDocument } from '#schema/openapi'
import { gatewayDocument } from '../../../infra/constructs/gateway-document.ts'

type Operation = {
  operationId: string
  parameters: { name: string; in: string; required: boolean }[]
  security?: object[]
}
type Document = { paths: Record<string, Record<string, Operation>> }

const whole = openApiDocument() as Document
const gateway = gatewayDocument({
  authorizerUri: 'arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn/invocations',
  allowedOrigins: ['*'],
  integrations: Object.fromEntries(
    Object.keys(ROUTES).map((id) => [id, { uri: 'arn:aws:apigateway:x', stream: false, timeoutMs: 29_000 }]),
  ),
}) as Document

/** `POST /x operationId path-params closed|open` of every operation. */
const operations = ({ paths }: Document, isOpen: (operation: Operation) => boolean): string[] =>
  Object.entries(paths)
    .flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([method]) => method !== 'options')
        .map(([method, operation]) => {
          const inPath = operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
          return `${method} ${path} ${operation.operationId} ${inPath} ${isOpen(operation) ? 'open' : 'closed'}`
        }),
    )
    .sort()

const validate = async (document: object) => {
  const validator = new Validator()
  const result = await validator.validate(structuredClone(document) as Record<string, unknown>)
  return { version: validator.version, ...result }
}

test('the document is OpenAPI 3.1 and has every route', async () => {
  expect(await validate(whole)).toMatchObject({ version: '3.1', valid: true })
  expect(operations(whole, () => true)).toHaveLength(Object.keys(ROUTES).length)
  const recipe = JSON.stringify(whole.paths['/recipes:quote']?.['post'])
  expect(recipe).toContain('"learningRate"')
})

test('what goes to the gateway is OpenAPI 3.0 and says the same', async () => {
  expect(await validate(gateway)).toMatchObject({ version: '3.0', valid: true })
  expect(operations(gateway, ({ security }) => security === undefined)).toEqual(
    operations(whole, ({ security }) => security?.length === 0),
  )
})

test('a document that is none is refused', async () => {
  expect(await validate({ ...whole, paths: { x: { get: {} } } })).toMatchObject({ valid: false })
})
