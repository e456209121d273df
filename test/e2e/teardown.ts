import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ListEndpointsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker'
import { expect, test } from 'vitest'
import { until } from '../../local/example/api-client.ts'
import { loop } from './loop.ts'

/** Last, since nothing answers afterwards. */
export const teardown = (): void => {
  test('what CloudFormation asks when the stack goes takes every endpoint down, with the grants that it has', async () => {
    const { endpoint, region } = loop.platform.emulator
    const scope = `test/20260101/${region}/lambda/aws4_request`
    const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=none`
    const lambda = async (path: string, init: RequestInit = {}) => {
      const reply = await fetch(`${endpoint}/2015-03-31/functions/${path}`, { ...init, headers: { authorization } })
      return (await reply.json().catch(() => null)) as { Functions: { FunctionName: string }[] }
    }
    const { Functions } = await lambda('?MaxItems=1000')
    const name = Functions.find(({ FunctionName }) => FunctionName.includes('RemoveEndpoints'))!.FunctionName
    const answers: { Status: string }[] = []
    const server = createServer((request, reply) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => reply.end(answers.push(JSON.parse(body)) && ''))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const ResponseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const ids = { StackId: 's', RequestId: 'r', LogicalResourceId: 'l', PhysicalResourceId: 'p' }
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
    const sagemaker = new SageMakerClient({ endpoint, region, credentials })
    const endpoints = async () => (await sagemaker.send(new ListEndpointsCommand({}))).Endpoints ?? []
    expect((await endpoints()).length).toBeGreaterThanOrEqual(2)
    const body = JSON.stringify({ RequestType: 'Delete', ResponseURL, ...ids })
    await lambda(`${name}/invocations`, { method: 'POST', body })
    server.close()
    expect(answers).toEqual([expect.objectContaining({ Status: 'SUCCESS', ...ids })])
    await until('the end of the endpoints', 60, async () => ((await endpoints()).length === 0 ? true : undefined))
  })
}
