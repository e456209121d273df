import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { personTokens } from '../../../functions/accounts/person-token.client.ts'

/** A customer's own identity provider: it publishes one key. */
const issuer = 'https://id.example.test'
const audience = 'openledger'
let server: Server
let keys: CryptoKeyPair
let verify: ReturnType<typeof personTokens>
beforeAll(async () => {
  keys = (await generateKeyPair('RS256', { extractable: true })) as CryptoKeyPair
  const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] }
  server = createServer((_, reply) => reply.setHeader('content-type', 'application/json').end(JSON.stringify(jwks)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const jwksUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  verify = personTokens({ issuer, audience, jwksUri, operatorsGroup: 'operators' })
})
afterAll(() => void server.close())

const signed = (
  claims: Record<string, unknown>,
  key: CryptoKey | Uint8Array = keys.privateKey,
  alg = 'RS256',
  expires = '5m',
) =>
  new SignJWT({ sub: 'ada', iss: issuer, aud: audience, ...claims })
    .setProtectedHeader({ alg, kid: 'one' })
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(key)

test('people of the customer’s own issuer come in, operators by their group', async () => {
  expect(await verify(await signed({ name: 'Ada' }))).toEqual({ subject: 'ada', name: 'Ada', operator: false })
  expect(await verify(await signed({ groups: ['operators'] }))).toMatchObject({ operator: true })
  // Cognito's access tokens name the client elsewhere.
  expect(await verify(await signed({ aud: undefined, client_id: audience }))).toMatchObject({ subject: 'ada' })
})

test('nobody else does', async () => {
  const stranger = (await generateKeyPair('RS256')) as CryptoKeyPair
  const published = new TextEncoder().encode(await exportSPKI(keys.publicKey))
  const unsigned = [{ alg: 'none' }, { sub: 'ada', iss: issuer, aud: audience }]
  const tokens = {
    'another issuer': await signed({ iss: 'https://evil.example.test' }),
    'another audience': await signed({ aud: 'another-product' }),
    'no audience': await signed({ aud: undefined }),
    'no subject': await signed({ sub: undefined }),
    expired: await signed({}, keys.privateKey, 'RS256', '-1m'),
    'another key': await signed({}, stranger.privateKey),
    'the public key as a shared secret': await signed({}, published, 'HS256'),
    'no signature': `${unsigned.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`,
    'no token': 'nonsense',
  }
  for (const [what, token] of Object.entries(tokens)) expect(await verify(token), what).toBeNull()
})
