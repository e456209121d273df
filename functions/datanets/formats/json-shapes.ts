import * as z from 'zod'
import type { Limits } from './limits.ts'
import { type Refused, type RowContent, refused } from './split-row.ts'

const Text = z.object({ text: z.string() })
const Completion = z.object({ prompt: z.string(), completion: z.string() })
const Alpaca = z.object({ instruction: z.string(), input: z.string().nullish(), output: z.string() })
const Role = z.enum(['system', 'user', 'assistant', 'tool'])
const Messages = z.object({ messages: z.array(z.object({ role: Role, content: z.string() })).min(1) })
/** ShareGPT: `from` is human or gpt (user and assistant are met as well). */
const ShareGpt = z.object({ conversations: z.array(z.object({ from: z.string(), value: z.string() })).min(1) })
const SHARE_GPT_ROLES: Record<string, z.output<typeof Role>> = {
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  assistant: 'assistant',
  system: 'system',
  tool: 'tool',
}

const SHAPES =
  '{"text"}, {"messages":[{role,content}]}, {"prompt","completion"}, {"instruction","input"?,"output"} or {"conversations":[{from,value}]}'

/**
 * One JSON object to a row's content. The text of a prompt and completion, and of messages, is their parts joined by an
 * empty line: what the contributor wrote, in order, without any template. More keys than the shape's are ignored.
 */
export const contentOf = (value: unknown, limits: Limits): RowContent | Refused => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refused('not-json', 'The line is JSON, and not an object.')
  if (Object.keys(value).length > limits.maxColumns)
    return refused('too-many-columns', `More than ${limits.maxColumns} keys.`)
  if ('messages' in value) return conversation(Messages.safeParse(value).data?.messages, limits)
  if ('conversations' in value)
    return conversation(
      ShareGpt.safeParse(value).data?.conversations.map(({ from, value: content }) => ({
        role: SHARE_GPT_ROLES[from.toLowerCase()],
        content,
      })),
      limits,
    )
  if ('completion' in value) return pair(Completion.safeParse(value).data)
  if ('instruction' in value) {
    const alpaca = Alpaca.safeParse(value).data
    const prompt = alpaca && (alpaca.input?.trim() ? `${alpaca.instruction}\n\n${alpaca.input}` : alpaca.instruction)
    return pair(alpaca && { prompt: prompt as string, completion: alpaca.output })
  }
  const plain = Text.safeParse(value).data
  return plain ? { text: plain.text } : refused('wrong-shape', `Accepted are ${SHAPES}.`)
}

const pair = (parts: { prompt: string; completion: string } | undefined): RowContent | Refused => {
  if (!parts) return refused('wrong-shape', `Accepted are ${SHAPES}.`)
  if (parts.completion.trim() === '') return refused('empty', 'The completion is empty: there is nothing to learn.')
  return { text: joined([parts.prompt, parts.completion]), prompt: parts.prompt, completion: parts.completion }
}

const conversation = (
  messages: { role: z.output<typeof Role> | undefined; content: string }[] | undefined,
  limits: Limits,
): RowContent | Refused => {
  if (!messages) return refused('wrong-shape', `Accepted are ${SHAPES}.`)
  if (messages.length > limits.maxMessages) return refused('too-long', `More than ${limits.maxMessages} messages.`)
  const unknown = messages.find(({ role }) => role === undefined)
  if (unknown) return refused('wrong-shape', 'A message is from somebody else than system, human, gpt or tool.')
  if (!messages.some(({ role, content }) => role === 'assistant' && content.trim() !== ''))
    return refused('empty', 'No message of the assistant: there is nothing to learn.')
  return {
    text: joined(messages.map(({ content }) => content)),
    messages: messages.map(({ role, content }) => ({ role: role as string, content })),
  }
}

const joined = (parts: string[]): string => parts.filter((part) => part.trim() !== '').join('\n\n')
