import { ChatCompletionRequest, CompletionReply, CompletionRequest, ModelList } from '../inference.ts'
import type { Route } from './route.ts'

export const OPEN_LORA_ROUTES = {
  chatCompletion: {
    method: 'POST',
    path: '/v1/chat/completions',
    door: 'open-lora/infer',
    access: 'client',
    summary: 'OpenAI-compatible chat completion',
    body: ChatCompletionRequest,
    reply: CompletionReply,
    stream: true,
  },
  completion: {
    method: 'POST',
    path: '/v1/completions',
    door: 'open-lora/infer',
    access: 'client',
    summary: 'OpenAI-compatible completion',
    body: CompletionRequest,
    reply: CompletionReply,
    stream: true,
  },
  listModels: {
    method: 'GET',
    path: '/v1/models',
    door: 'open-lora/list-models',
    access: 'any',
    summary: 'Adapters by name',
    reply: ModelList,
  },
} as const satisfies Record<string, Route>
