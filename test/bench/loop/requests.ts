import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ListEndpointsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker'
import { InvokeEndpointWithResponseStreamCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime'
import { GetSecretValueCommand, ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { parseBody, servingBody } from '../../../functions/open-lora/request.ts'
import { customAttributes } from '../../../functions/open-lora/signature.ts'
import type { Platform } from '../../../local/platform.ts'

/**
 * The same question, one after the other: through the API as a client asks it, and of the endpoint itself as the
 * infer function asks it. The difference is the gateway, the authorizer, the function and the ledger: our own part.
 */
export const measureRequests = async (platform: Platform, count: number) => {
  const run = JSON.parse(readFileSync(join(platform.dir, 'run.json'), 'utf8'))
  const question = { model: run.adapters[0].name as string, prompt: 'This License', max_tokens: 8, temperature: 0 }
  const throughApi = async () => {
    const reply = await fetch(`${run.api.openaiBaseUrl}/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${run.keys.client}`, 'content-type': 'application/json' },
      body: JSON.stringify(question),
    })
    if (!reply.ok) throw new Error(`the API answered ${reply.status}: ${await reply.text()}`)
    await reply.text()
  }
  const endpoint = await endpointOf(platform)
  const body = servingBody(parseBody('/v1/completions', question), run.adapters[0].id)
  const pastIt = () => endpoint(body)
  await throughApi()
  await pastIt()
  const before = await platform.emulator.writes()
  const whole = await milliseconds(count, throughApi)
  const writes = (await platform.emulator.writes()) - before
  const model = await milliseconds(count, pastIt)
  const difference = (share: number) => round(quantile(whole, share) - quantile(model, share))
  return {
    requestMs: { p50: round(quantile(whole, 0.5)), p95: round(quantile(whole, 0.95)) },
    modelMs: { p50: round(quantile(model, 0.5)), p95: round(quantile(model, 0.95)) },
    ownMs: { p50: difference(0.5), p95: difference(0.95) },
    // The attribution of the requests before runs beside them, so this is an upper bound for a single one.
    writesPerInference: round(writes / count),
  }
}

/** Asks the endpoint that serves the base model, signed with the deployment's own secret. */
const endpointOf = async (platform: Platform) => {
  const { endpoint, region } = platform.emulator
  const aws = { endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
  const secrets = new SecretsManagerClient(aws)
  const { SecretList = [] } = await secrets.send(new ListSecretsCommand({}))
  const { SecretString: secret } = await secrets.send(
    new GetSecretValueCommand({ SecretId: SecretList.find(({ Name }) => /Inference/.test(Name ?? ''))?.ARN }),
  )
  const { Endpoints = [] } = await new SageMakerClient(aws).send(new ListEndpointsCommand({}))
  const EndpointName = Endpoints.find(({ EndpointName: name }) => !/influence/.test(name ?? ''))?.EndpointName
  const runtime = new SageMakerRuntimeClient(aws)
  return async (body: string) => {
    const { Body } = await runtime.send(
      new InvokeEndpointWithResponseStreamCommand({
        EndpointName,
        Body: Buffer.from(body),
        ContentType: 'application/json',
        CustomAttributes: customAttributes(body, secret!, Math.floor(Date.now() / 1000)),
      }),
    )
    for await (const part of Body!) if (part.ModelStreamError) throw new Error(part.ModelStreamError.Message)
  }
}

const milliseconds = async (count: number, ask: () => Promise<void>): Promise<number[]> => {
  const taken: number[] = []
  for (let i = 0; i < count; i++) {
    const start = performance.now()
    await ask()
    taken.push(performance.now() - start)
  }
  return taken.sort((a, b) => a - b)
}
const quantile = (sorted: number[], share: number): number => sorted[Math.ceil(share * sorted.length) - 1]!
const round = (value: number): number => Math.round(value * 10) / 10
