// biome-ignore lint/suspicious/noExplicitAny: the serving image's OpenAI objects pass through with fields we do not read
export type Reply = Record<string, any>

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
}

/** A finished reply as the one chunk that a streaming client understands. */
export const asChunk = (reply: Reply): Reply => ({
  ...reply,
  object: reply['object'] === 'chat.completion' ? 'chat.completion.chunk' : reply['object'],
  choices: reply['choices'].map(({ message, ...choice }: Reply) => (message ? { ...choice, delta: message } : choice)),
})

const textOf = (choice: Reply): string => choice['delta']?.content ?? choice['text'] ?? ''

/** Tokens made by the end of these chunks: as the last one says (continuous usage), else a token a piece with text. */
export const usageOf = (parts: readonly Reply[]): Usage => {
  const told = parts.findLast((part) => part['usage'])?.['usage'] as Usage | undefined
  if (told) return { prompt_tokens: told.prompt_tokens, completion_tokens: told.completion_tokens }
  const pieces = parts.filter((part) => (part['choices'] as Reply[]).some((choice) => textOf(choice) !== ''))
  return { prompt_tokens: 0, completion_tokens: pieces.length }
}

/** One whole reply out of the chunks of a stream, per choice index. */
export const gather = (parts: readonly Reply[]): Reply => {
  const texts = new Map<number, { text: string; finish: string | null }>()
  for (const part of parts)
    for (const choice of part['choices'] as Reply[]) {
      const entry = texts.get(choice['index']) ?? { text: '', finish: null }
      entry.text += textOf(choice)
      entry.finish = choice['finish_reason'] ?? entry.finish
      texts.set(choice['index'], entry)
    }
  const chat = parts[0]?.['object'] === 'chat.completion.chunk'
  const choices = [...texts]
    .sort(([a], [b]) => a - b)
    .map(([index, { text, finish }]) => ({
      index,
      finish_reason: finish,
      ...(chat ? { message: { role: 'assistant', content: text } } : { text }),
    }))
  return {
    id: parts[0]?.['id'] ?? '',
    object: chat ? 'chat.completion' : 'text_completion',
    created: parts[0]?.['created'] ?? 0,
    model: parts[0]?.['model'] ?? '',
    choices,
  }
}

export const collect = async (chunks: AsyncIterable<Uint8Array>): Promise<string> => {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts).toString('utf8')
}
