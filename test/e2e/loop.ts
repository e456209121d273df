import OpenAI from 'openai'
import type { ExampleContext } from '../../local/example/context.ts'
import type { Platform } from '../../local/platform.ts'

export const MINUTES = 60_000

/** What all tests of this folder share: the platform, and what the example left in it. Set by loop.test.ts. */
export const loop = {} as {
  platform: Platform
  context: ExampleContext
  // biome-ignore lint/suspicious/noExplicitAny: run.json is the contract under test
  run: any
}

/** The official client with an API key, the paying client's when none is given. */
export const clientOf = (key: string = loop.run.keys.client): OpenAI =>
  new OpenAI({ apiKey: key, baseURL: loop.run.api.openaiBaseUrl, maxRetries: 0 })

/** Status and code of a refusal; throws when there was none. */
export const refusal = async (ask: Promise<unknown>): Promise<{ status: number; code: string }> => {
  const error = (await ask.then(
    () => undefined,
    (reason: unknown) => reason,
  )) as { status: number; code: string } | undefined
  if (!error) throw new Error('it was answered')
  return { status: error.status, code: error.code }
}
