import type { APIGatewayAuthorizerResult, APIGatewayTokenAuthorizerEvent } from 'aws-lambda'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import type { Caller } from '#schema/accounts'
import { AccountBook } from './accounts.store.ts'
import { accountIdOf, hashSecret, isApiKey } from './identity.ts'
import { personTokens } from './person-token.client.ts'

const env = environment('REGISTRY_TABLE', 'OIDC_ISSUER', 'OIDC_AUDIENCE', 'OIDC_JWKS_URI', 'OPERATORS_GROUP')
const accounts = new AccountBook(new Records(env.REGISTRY_TABLE))
const verify = personTokens({
  issuer: env.OIDC_ISSUER,
  audience: env.OIDC_AUDIENCE,
  jwksUri: env.OIDC_JWKS_URI,
  operatorsGroup: env.OPERATORS_GROUP,
})

/** One authorizer for people and machines. Its answer is cached by the gateway for 60 s: a revoked key works that long. */
export const handler = async (event: APIGatewayTokenAuthorizerEvent): Promise<APIGatewayAuthorizerResult> => {
  const token = event.authorizationToken.replace(/^Bearer\s+/i, '').trim()
  const caller = isApiKey(token) ? await machine(token) : await person(token)
  if (!caller) throw new Error('Unauthorized') // the gateway turns exactly this text into 401
  const api = event.methodArn.split('/').slice(0, 2).join('/')
  return {
    principalId: caller.accountId,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: `${api}/*` }],
    },
    context: { caller: JSON.stringify(caller) },
  }
}

const machine = async (token: string): Promise<Caller | null> => {
  const key = await accounts.findKey(hashSecret(token))
  if (!key || key.revoked) return null
  return {
    kind: 'client',
    accountId: key.accountId,
    keyId: key.id,
    ...(key.budget ? { budget: key.budget } : {}),
    ...(key.ratePerMinute ? { ratePerMinute: key.ratePerMinute } : {}),
  }
}

const person = async (token: string): Promise<Caller | null> => {
  const known = await verify(token)
  if (!known) return null
  const account = await accounts.ensure(accountIdOf(env.OIDC_ISSUER, known.subject), known.name, now().toISOString())
  return { kind: 'person', accountId: account.id, operator: known.operator, name: account.name }
}
