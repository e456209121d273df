"""Prompts -> token ids, as stock transformers does it, and the check against the context length."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jinja2 import TemplateError

from open_lora.engine_port import SamplingParameters
from open_lora.front.request import ParsedRequest
from open_lora.refusals import Refusal


DEFAULT_TOKENS = 16


@dataclass(frozen=True)
class Prompt:
    text: str
    tokens: list[int]
    parameters: SamplingParameters


def make_prompts(request: ParsedRequest, tokenizer, vocabulary: int, max_model_tokens: int) -> list[Prompt]:
    """One for chat, one per prompt for completions. Raises Refusal."""
    if request.chat:
        pairs = [_chat(request.messages, tokenizer, vocabulary)]
    else:
        pairs = [_completion(prompt, tokenizer, vocabulary) for prompt in request.prompt]
    return [Prompt(text, ids, _fit(request, ids, max_model_tokens)) for text, ids in pairs]


def _chat(messages: list, tokenizer, vocabulary: int) -> tuple[str, list[int]]:
    if not tokenizer.chat_template:
        raise Refusal("no_chat_template", "the base model has no chat template; use /v1/completions", param="messages")
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except (TemplateError, TypeError, ValueError, KeyError, IndexError) as error:
        raise Refusal("invalid_request", f"the chat template refuses these messages: {error}", param="messages") from None
    return text, _known(tokenizer(text, add_special_tokens=False)["input_ids"], vocabulary, "messages")


def _completion(prompt: str | list[int], tokenizer, vocabulary: int) -> tuple[str, list[int]]:
    if isinstance(prompt, str):
        ids = tokenizer(prompt)["input_ids"]
        if not ids and tokenizer.bos_token_id is not None:
            ids = [tokenizer.bos_token_id]
        return prompt, _known(ids, vocabulary, "prompt")
    return tokenizer.decode(_known(prompt, vocabulary, "prompt")), prompt


def _known(ids: list[int], vocabulary: int, param: str) -> list[int]:
    """The ids, all of which the model has: its tokenizer may know more."""
    if not ids:
        raise Refusal("invalid_request", "the prompt is empty", param=param)
    if max(ids) >= vocabulary:
        raise Refusal("invalid_request", f"token ids must be below {vocabulary}", param=param)
    return ids


def _fit(request: ParsedRequest, ids: list[int], limit: int) -> SamplingParameters:
    """Without max_tokens: OpenAI's default for completions, all that is left for chat."""
    parameters = request.parameters
    room = limit - len(ids)
    wanted = parameters.max_tokens
    if room < 1 or wanted > room:
        asked = f"{len(ids)} prompt tokens" + (f" and max_tokens {wanted}" if wanted > 0 else "")
        raise Refusal("context_length_exceeded", f"the model's limit is {limit} tokens, you asked for {asked}", param="max_tokens" if room >= 1 else "messages")  # fmt: skip
    return parameters if wanted > 0 else replace(parameters, max_tokens=room if request.chat else min(room, DEFAULT_TOKENS))
