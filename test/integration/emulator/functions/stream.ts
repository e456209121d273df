import { setTimeout } from 'node:timers/promises'
import type { APIGatewayProxyEvent } from 'aws-lambda'

/** Streams `count` chunks with `pauseMs` between them; `dieAfter` throws in the middle, `plain` answers without a stream. */
export const handler = awslambda.streamifyResponse(async (event: APIGatewayProxyEvent, response) => {
  const asked = JSON.parse(event.body ?? '{}') as { count: number; pauseMs: number; dieAfter?: number }
  const seen = Object.keys(event.headers).map((name) => name.toLowerCase())
  const out = awslambda.HttpResponseStream.from(response, {
    statusCode: 202,
    headers: { 'content-type': 'text/event-stream', 'x-saw-stream-id': String(seen.includes('x-openledger-stream')) },
  })
  for (let index = 0; index < asked.count; index++) {
    if (index === asked.dieAfter) throw new Error('died in the middle')
    out.write(`data: ${index}\n\n`)
    await setTimeout(asked.pauseMs)
  }
  out.end()
})
