import { Logger } from '@aws-lambda-powertools/logger'

/** One structured logger. Prompts, outputs, tokens and keys never go in: log ids and codes. */
export const logger = new Logger({ serviceName: 'openledger' })
