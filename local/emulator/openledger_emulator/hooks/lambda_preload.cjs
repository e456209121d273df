// First line of every Node worker: what the Lambda runtime for Node.js has and MiniStack's worker lacks. `awslambda` is the global of Lambda response streaming; a streamed answer goes to the gateway hook
// over one chunked request, under the id that the gateway put into the event's headers. Requests that code sends to
// a real AWS host (a JWKS of Cognito) are turned to the embedded AWS.
const { syncBuiltinESMExports } = require('node:module')
const { PassThrough } = require('node:stream')
const http = require('node:http')
const https = require('node:https')
const gateway = new URL(process.env.AWS_ENDPOINT_URL ?? 'http://127.0.0.1:4566')
const STREAM_HEADER = 'x-openledger-stream'

function takeStreamId(event) {
  let id
  for (const bag of [event?.headers, event?.multiValueHeaders]) {
    for (const name of Object.keys(bag ?? {})) {
      if (name.toLowerCase() !== STREAM_HEADER) continue
      id ??= Array.isArray(bag[name]) ? bag[name][0] : bag[name]
      delete bag[name]
    }
  }
  return id
}

const HttpResponseStream = {
  from(stream, prelude) {
    stream.openledgerPrelude = prelude
    return stream
  },
}

function open(id, stream) {
  const request = http.request({
    host: gateway.hostname,
    port: gateway.port,
    method: 'POST',
    path: `/_openledger/stream/${id}`,
    headers: { 'content-type': 'application/octet-stream' },
    agent: false,
  })
  const answered = new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => response.resume().on('end', resolve))
  })
  answered.catch(() => {})
  let started = false
  const start = () => {
    if (started) return
    started = true
    const prelude = Buffer.from(JSON.stringify(stream.openledgerPrelude ?? {}))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(prelude.length)
    request.write(Buffer.concat([length, prelude]))
  }
  stream.on('data', (chunk) => {
    start()
    if (!request.write(chunk)) {
      stream.pause()
      request.once('drain', () => stream.resume())
    }
  })
  const finished = new Promise((resolve, reject) => {
    stream.on('end', () => {
      start()
      request.end()
      resolve()
    })
    stream.on('error', reject)
    stream.on('close', () => (stream.readableEnded ? undefined : reject(new Error('response stream closed early'))))
  })
  return { finished: finished.then(() => answered), abort: () => request.destroy() }
}

async function collect(stream) {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

globalThis.awslambda = {
  HttpResponseStream,
  // An answer without a stream id (a direct Invoke) is collected, as Lambda does for the buffered invoke mode.
  streamifyResponse(handler) {
    const streaming = async (event, context) => {
      const id = takeStreamId(event)
      const stream = new PassThrough()
      if (!id) {
        const whole = collect(stream)
        await handler(event, stream, context)
        const body = await whole
        const { statusCode = 200, headers = {}, cookies } = stream.openledgerPrelude ?? {}
        const cookie = cookies?.length ? { 'set-cookie': cookies } : undefined
        return { statusCode, headers, ...(cookie && { multiValueHeaders: cookie }), body: body.toString('utf8') }
      }
      const pipe = open(id, stream)
      try {
        await handler(event, stream, context)
        await pipe.finished
      } catch (error) {
        pipe.abort()
        throw error
      }
      return { statusCode: 200, body: '' }
    }
    return streaming
  },
}

process.stdin.on('close', () => process.exit(0))

const isAws = (host) => /\.amazonaws\.com(\.cn)?$/.test(host ?? '')
const plainFetch = globalThis.fetch
globalThis.fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : String(input))
  if (!isAws(url.hostname)) return plainFetch(input, init)
  const target = `${gateway.origin}${url.pathname}${url.search}`
  return plainFetch(input instanceof Request ? new Request(target, input) : target, init)
}
const plainRequest = https.request
https.request = function request(...args) {
  const options =
    typeof args[0] === 'string' || args[0] instanceof URL ? { ...urlOptions(args[0]), ...objectOf(args[1]) } : args[0]
  if (!isAws(options?.hostname ?? options?.host)) return plainRequest.apply(https, args)
  const callback = args.find((arg) => typeof arg === 'function')
  const { agent: _agent, _defaultAgent, ...rest } = options
  return http.request(
    { ...rest, protocol: 'http:', host: gateway.hostname, hostname: gateway.hostname, port: gateway.port },
    callback,
  )
}
https.get = (...args) => {
  const request = https.request(...args)
  request.end()
  return request
}
syncBuiltinESMExports()

function urlOptions(input) {
  const url = new URL(input)
  return { hostname: url.hostname, port: url.port, path: `${url.pathname}${url.search}`, method: 'GET' }
}
function objectOf(value) {
  return typeof value === 'object' && value !== null ? value : {}
}
