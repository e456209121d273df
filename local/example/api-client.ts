import { setTimeout as sleep } from 'node:timers/promises'

/** A caller of the public API with one credential. */
export class ApiClient {
  readonly #base: string
  readonly #token: string
  constructor(base: string, token: string) {
    this.#base = base.replace(/\/$/, '')
    this.#token = token
  }

  // biome-ignore lint/suspicious/noExplicitAny: replies are checked where they are used
  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<any> {
    // A request that a kill cut off may keep its Idempotency-Key for a minute: the same request waits for it.
    for (let waits = 0; ; waits++) {
      try {
        return await this.#once(method, path, body, headers)
      } catch (error) {
        if (!(error instanceof ApiError && error.inFlight) || waits === 24) throw error
        await sleep(5000)
      }
    }
  }

  async #once(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<unknown> {
    const reply = await fetch(`${this.#base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    const text = await reply.text()
    if (!reply.ok) throw new ApiError(method, path, reply.status, text)
    return text ? JSON.parse(text) : undefined
  }
  get = (path: string) => this.call('GET', path)
  post = (path: string, body: unknown = {}) => this.call('POST', path, body)
  put = (path: string, body: unknown) => this.call('PUT', path, body)
}

class ApiError extends Error {
  readonly status: number
  readonly inFlight: boolean
  constructor(method: string, path: string, status: number, text: string) {
    super(`${method} ${path}: ${status} ${text.slice(0, 500)}`)
    this.status = status
    this.inFlight = status === 409 && text.includes('"request-in-flight"')
  }
}

/** Sends bytes to a presigned URL, with exactly the headers that were signed. */
export const upload = async (
  put: { url: string; headers: Record<string, string> },
  body: Uint8Array,
): Promise<void> => {
  const reply = await fetch(put.url, {
    method: 'PUT',
    headers: put.headers,
    body: body as Uint8Array<ArrayBuffer>,
    signal: AbortSignal.timeout(120_000),
  })
  // 412: the object is there already, from before a restart.
  if (!reply.ok && reply.status !== 412)
    throw new Error(`upload: ${reply.status} ${(await reply.text()).slice(0, 500)}`)
}

/** Asks until the answer is one, or says what was waited for. */
export const until = async <Value>(
  what: string,
  seconds: number,
  ask: () => Promise<Value | undefined>,
  everyMs = 500,
): Promise<Value> => {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const value = await ask()
    if (value !== undefined) return value
    if (Date.now() > deadline) throw new Error(`gave up waiting for ${what} after ${seconds} s`)
    await sleep(everyMs)
  }
}
