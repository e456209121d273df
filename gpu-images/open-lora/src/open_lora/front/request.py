"""An OpenAI request body -> what is to be generated, or a Refusal that names the parameter.

Parameters that would change the answer and that we do not have are refused; those that change nothing are ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from open_lora.engine_port import SamplingParameters
from open_lora.refusals import Refusal

MAX_CHOICES = 16
MAX_PROMPTS = 32
REFUSED_WHEN_SET = (
    "tools", "functions", "tool_choice", "function_call", "suffix", "audio", "modalities", "use_beam_search", "guided_json",
    "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "stop_token_ids", "min_tokens", "bad_words",
    "allowed_token_ids", "prompt_logprobs", "logits_processors", "truncate_prompt_tokens", "include_stop_str_in_output",
    "prompt_embeds", "xtc_probability", "no_repeat_ngram_size",
)  # fmt: skip
UNSET = (None, [], {}, "", 0, False, "none", "auto", ["text"])
REFUSED_UNLESS = {"length_penalty": 1, "skip_special_tokens": True, "typical_p": 1}


@dataclass(frozen=True)
class ParsedRequest:
    model: str
    chat: bool
    messages: list | None
    prompt: object  # str | list[str] | list[int] | list[list[int]]
    parameters: SamplingParameters  # max_tokens is -1 when the caller set none
    n: int
    stops: tuple[str, ...]
    stream: bool
    include_usage: bool
    continuous_usage: bool  # vLLM's continuous_usage_stats: the tokens so far stand in every chunk
    echo: bool
    transcript: bool


def parse_body(raw: bytes) -> dict:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal("invalid_request", "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal("invalid_request", "the body must be a JSON object")
    return body


def parse_request(body: dict, chat: bool) -> ParsedRequest:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal("invalid_request", "model must be a string", param="model")
    _refuse_unsupported(body)
    messages, prompt = (_messages(body), None) if chat else (None, _prompt(body))
    n = _integer(body, "n", 1, 1, MAX_CHOICES)
    if _integer(body, "best_of", n, 1, MAX_CHOICES) != n:
        raise Refusal("unsupported_parameter", "best_of other than n is not supported", param="best_of")
    extension = body.get("openledger") or {}
    if not isinstance(extension, dict):
        raise Refusal("invalid_request", "openledger must be an object", param="openledger")
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise Refusal("invalid_request", "stream_options must be an object", param="stream_options")
    transcript, echo = _boolean(extension, "transcript"), not chat and _boolean(body, "echo")
    sampling = _sampling(body, chat)
    if echo and sampling.logprobs is not None:
        raise Refusal("unsupported_parameter", "log probabilities of the prompt are not computed: echo without logprobs", param="echo")
    return ParsedRequest(
        model=model, chat=chat, messages=messages, prompt=prompt, parameters=sampling, n=n,
        stops=_stops(body), stream=_boolean(body, "stream"),
        include_usage=_boolean(options, "include_usage") or transcript,
        continuous_usage=_boolean(options, "continuous_usage_stats"),
        echo=echo, transcript=transcript,
    )  # fmt: skip


def _refuse_unsupported(body: dict) -> None:
    for field in REFUSED_WHEN_SET:
        if body.get(field) not in UNSET:
            raise Refusal("unsupported_parameter", f"{field} is not supported", param=field)
    for field, only in REFUSED_UNLESS.items():
        if body.get(field, only) not in (None, only):
            raise Refusal("unsupported_parameter", f"{field} other than {only} is not supported", param=field)
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type", "text") != "text":
        raise Refusal("unsupported_parameter", "response_format must be text", param="response_format")


def _sampling(body: dict, chat: bool) -> SamplingParameters:
    field = "max_completion_tokens" if chat and body.get("max_completion_tokens") is not None else "max_tokens"
    tokens = _integer(body, field, -1, 1, 1 << 30)
    bias = body.get("logit_bias") or {}
    if not isinstance(bias, dict) or len(bias) > 1024:
        raise Refusal("invalid_request", "logit_bias must map token ids to numbers", param="logit_bias")
    try:
        biases = {int(token): float(value) for token, value in bias.items()}
    except (TypeError, ValueError, OverflowError):
        raise Refusal("invalid_request", "logit_bias must map token ids to numbers", param="logit_bias") from None
    if any(token < 0 or not -100 <= value <= 100 for token, value in biases.items()):
        raise Refusal("invalid_request", "logit_bias values lie between -100 and 100", param="logit_bias")
    seed = body.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise Refusal("invalid_request", "seed must be an integer", param="seed")
    top_k = _integer(body, "top_k", 0, -1, 1 << 30)
    return SamplingParameters(
        max_tokens=tokens,
        temperature=_number(body, "temperature", 1.0, 0, 2),
        top_p=_number(body, "top_p", 1.0, 1e-9, 1),
        top_k=max(top_k, 0),
        min_p=_number(body, "min_p", 0.0, 0, 1),
        seed=seed,
        presence_penalty=_number(body, "presence_penalty", 0.0, -2, 2),
        frequency_penalty=_number(body, "frequency_penalty", 0.0, -2, 2),
        repetition_penalty=_number(body, "repetition_penalty", 1.0, 1e-3, 100),
        logit_bias=biases,
        logprobs=_logprobs(body, chat),
        ignore_eos=_boolean(body, "ignore_eos"),
    )


def _logprobs(body: dict, chat: bool) -> int | None:
    if not chat:
        return None if body.get("logprobs") in (None, False) else _integer(body, "logprobs", 0, 0, 20)
    wanted = _boolean(body, "logprobs")
    best = _integer(body, "top_logprobs", 0, 0, 20)
    if best and not wanted:
        raise Refusal("invalid_request", "top_logprobs needs logprobs: true", param="top_logprobs")
    return best if wanted else None


def _messages(body: dict) -> list[dict]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refusal("invalid_request", "messages must be a non-empty list", param="messages")
    out = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise Refusal("invalid_request", "each message has a role", param=f"messages[{index}]")
        valid_text(json.dumps(message, ensure_ascii=False), f"messages[{index}]")
        out.append({**message, "content": _content(message.get("content"), index)})
    return out


def _content(content: object, index: int) -> str:
    if content is None:
        return ""
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
        if any(not isinstance(part, str) for part in parts):
            raise Refusal("unsupported_parameter", "only text content is supported", param=f"messages[{index}].content")
        content = "".join(parts)
    if not isinstance(content, str):
        raise Refusal("invalid_request", "content must be text", param=f"messages[{index}].content")
    return valid_text(content, f"messages[{index}].content")


def valid_text(text: str, param: str) -> str:
    """JSON can spell half of a surrogate pair, which is no text."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Refusal("invalid_request", "the text holds a lone surrogate", param=param) from None
    return text


def _prompt(body: dict) -> object:
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return [valid_text(prompt, "prompt")]
    if isinstance(prompt, list) and prompt:
        if all(_is_token(item) for item in prompt):
            return [prompt]
        if len(prompt) > MAX_PROMPTS:
            raise Refusal("invalid_request", f"at most {MAX_PROMPTS} prompts a request", param="prompt")
        if all(isinstance(item, str) for item in prompt):
            return [valid_text(item, "prompt") for item in prompt]
        if all(isinstance(item, list) and item and all(_is_token(token) for token in item) for item in prompt):
            return prompt
    raise Refusal("invalid_request", "prompt must be text, token ids, or a list of either", param="prompt")


def _is_token(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and item >= 0


def _stops(body: dict) -> tuple[str, ...]:
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or len(stops) > 16 or any(not isinstance(item, str) or not item for item in stops):
        raise Refusal("invalid_request", "stop must be text or a list of up to 16 texts", param="stop")
    return tuple(valid_text(item, "stop") for item in stops)


def _boolean(body: dict, field: str) -> bool:
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise Refusal("invalid_request", f"{field} must be true or false", param=field)
    return bool(value)


def _integer(body: dict, field: str, default: int, low: int, high: int) -> int:
    value = body.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refusal("invalid_request", f"{field} must be an integer from {low} to {high}", param=field)
    return value


def _number(body: dict, field: str, default: float, low: float, high: float) -> float:
    value = body.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:  # so is a NaN
        raise Refusal("invalid_request", f"{field} must be a number between {low} and {high}", param=field)
    return float(value)
