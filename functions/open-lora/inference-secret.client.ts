import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'

const client = new SecretsManagerClient({})
let cached: { value: string; until: number } | undefined

/** The secret that signs invocations; kept for five minutes, so that a rotation is picked up without a deploy. */
export const inferenceSecret = async (secretId: string, nowMs: number): Promise<string> => {
  if (!cached || cached.until < nowMs) {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secretId }))
    cached = { value: SecretString!, until: nowMs + 300_000 }
  }
  return cached.value
}
