import OpenAI from 'openai'
import type { ExampleContext } from './context.ts'
import type { FilledDatanet } from './datanets.ts'
import { chatQuestion, opening } from './texts.ts'

export interface AnsweredQuestion {
  receiptId: string
  fee: string
  adapter: string
  datanet: string
  /** Whose sentence was asked for. */
  about: string
  text: string
  /** Longest stretch of the sentence's rest that stands in the answer, bytes. */
  repeats: number
}

const PER_CONTRIBUTOR = 2

/** The official `openai` client, unmodified: completions, chat where the rows are dialogues, every third one streamed. */
export const askAll = async (
  context: ExampleContext,
  key: string,
  datanets: readonly FilledDatanet[],
): Promise<AnsweredQuestion[]> => {
  const client = new OpenAI({ apiKey: key, baseURL: context.api.openaiBaseUrl, maxRetries: 5, timeout: 120_000 })
  const answers: AnsweredQuestion[] = []
  for (const datanet of datanets)
    for (const { recipe, sentences } of datanet.contributors)
      for (let i = 0; i < PER_CONTRIBUTOR; i++) {
        const sentence = sentences[i * 5 + 2]!
        const question = {
          adapter: datanet.recipe.adapter,
          chat: recipe.format === 'prompt-completion',
          stream: answers.length % 3 === 2,
          sentence,
        }
        const key = `example-${datanet.id}-${recipe.name}-${i}`
        const { text, openledger } = await context.journal.once(`question ${recipe.name} ${i}`, () =>
          ask(client, question, key).catch((error: { code?: string }) => {
            // A kill cut the first try off, and its key stays taken for as long as a function may live.
            if (error.code !== 'request-in-flight') throw error
            return ask(client, question, `${key}-${Date.now()}`)
          }),
        )
        const rest = question.chat ? sentence : sentence.slice(opening(sentence).length)
        answers.push({
          receiptId: openledger.receipt_id,
          fee: openledger.fee,
          adapter: question.adapter,
          datanet: datanet.id,
          about: recipe.name,
          text,
          repeats: longestShared(rest, text),
        })
        context.log(`${question.adapter} about ${recipe.name}: ${text.trim().replaceAll('\n', ' ').slice(0, 90)}`)
      }
  return answers
}

interface Receipt {
  receipt_id: string
  fee: string
}
const ask = async (
  client: OpenAI,
  question: { adapter: string; chat: boolean; stream: boolean; sentence: string },
  idempotencyKey: string,
): Promise<{ text: string; openledger: Receipt }> => {
  const base = { model: question.adapter, max_tokens: 64, temperature: 0 }
  const options = { headers: { 'Idempotency-Key': idempotencyKey } }
  if (question.chat) {
    const messages = [{ role: 'user' as const, content: chatQuestion(question.sentence) }]
    if (!question.stream) {
      const reply = await client.chat.completions.create({ ...base, messages }, options)
      return { text: reply.choices[0]!.message.content ?? '', openledger: receiptIn(reply) }
    }
    let text = ''
    let openledger: Receipt | undefined
    for await (const chunk of await client.chat.completions.create({ ...base, messages, stream: true }, options)) {
      text += chunk.choices[0]?.delta?.content ?? ''
      if ('openledger' in chunk) openledger = receiptIn(chunk)
    }
    return { text, openledger: openledger! }
  }
  const prompt = opening(question.sentence)
  if (!question.stream) {
    const reply = await client.completions.create({ ...base, prompt }, options)
    return { text: reply.choices[0]!.text, openledger: receiptIn(reply) }
  }
  let text = ''
  let openledger: Receipt | undefined
  for await (const chunk of await client.completions.create({ ...base, prompt, stream: true }, options)) {
    text += chunk.choices[0]?.text ?? ''
    if ('openledger' in chunk) openledger = receiptIn(chunk)
  }
  return { text, openledger: openledger! }
}

const receiptIn = (reply: object): Receipt => (reply as { openledger: Receipt }).openledger

/** Length of the longest common substring: how much of the sentence the answer repeats. */
const longestShared = (a: string, b: string): number => {
  let best = 0
  let previous = new Uint16Array(b.length + 1)
  for (const symbol of a) {
    const row = new Uint16Array(b.length + 1)
    for (let j = 1; j <= b.length; j++) {
      if (symbol !== b[j - 1]) continue
      row[j] = previous[j - 1]! + 1
      best = Math.max(best, row[j]!)
    }
    previous = row
  }
  return best
}
