import { parseArgs } from 'node:util'
import { openApiDocument } from '../../functions/schema/openapi.ts'

const HELP = `usage: npm run openapi

Prints the API as one OpenAPI 3.1 document, made from functions/schema.
`

try {
  const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h', default: false } } })
  process.stdout.write(values.help ? HELP : `${JSON.stringify(openApiDocument())}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n\n${HELP}`)
  process.exit(2)
}
