import { createRemoteJWKSet, jwtVerify } from 'jose'

export interface IssuerSettings {
  issuer: string
  audience: string
  jwksUri: string
  operatorsGroup: string
}
export interface Person {
  subject: string
  name: string
  operator: boolean
}

/**
 * Verifies a person's JWT against the issuer's published keys (RFC 7519; key set cached by jose). Cognito's access
 * tokens carry `client_id` where others carry `aud`: both must name this deployment. Null when it does not verify.
 */
export const personTokens = (settings: IssuerSettings): ((token: string) => Promise<Person | null>) => {
  const keySet = createRemoteJWKSet(keySetUrl(settings.jwksUri), { timeoutDuration: 5000 })
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keySet, {
        issuer: settings.issuer,
        algorithms: ['RS256', 'ES256', 'PS256'],
      })
      const audience = [payload.aud, payload['client_id']].flat()
      if (!payload.sub || !audience.includes(settings.audience)) return null
      const groups = [payload['cognito:groups'], payload['groups']].flat()
      const name = String(
        payload['name'] ?? payload['email'] ?? payload['cognito:username'] ?? payload['username'] ?? '',
      )
      return { subject: payload.sub, name, operator: groups.includes(settings.operatorsGroup) }
    } catch {
      return null
    }
  }
}

/** The SDK's standard endpoint override (private endpoints) holds for Cognito's key set too, which no SDK client reads. */
const keySetUrl = (jwksUri: string): URL => {
  const url = new URL(jwksUri)
  const override = process.env['AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER'] ?? process.env['AWS_ENDPOINT_URL']
  return override && url.hostname.startsWith('cognito-idp.') ? new URL(url.pathname, override) : url
}
