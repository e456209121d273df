import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'

const client = new SecretsManagerClient({})
const KEPT_MS = 300_000
/** A secret that is refused is read again, but not for every request while a container lags behind. */
const AFRESH_MS = 5_000
let cached: { value: string; readAt: number } | undefined

/** The secret that signs invocations; kept for five minutes, or read `afresh` when a container refused the one we have. */
export const inferenceSecret = async (
  secretId: string,
  nowMs: number,
  afresh = false,
  secrets: Pick<SecretsManagerClient, 'send'> = client,
): Promise<string> => {
  if (!cached || nowMs - cached.readAt > (afresh ? AFRESH_MS : KEPT_MS)) {
    const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: secretId }))
    cached = { value: SecretString!, readAt: nowMs }
  }
  return cached.value
}
