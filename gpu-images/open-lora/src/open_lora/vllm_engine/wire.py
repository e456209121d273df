"""What we say to vLLM's OpenAI server and what it says back. Pure: bytes and dicts in, events out.

Written against vLLM's `entrypoints/openai` (completion protocol, streaming, models/serving); `return_token_ids` needs
0.10.2 or newer. Token ids go in and token ids come out: text, templates and stop strings stay with our front.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

from open_lora.engine_port import GenerationRequest, TokenEvent
from open_lora.refusals import Refusal


def completion_body(request: GenerationRequest, base_name: str) -> dict:
    """POST /v1/completions. Every sampling field is set, so that no default of the server's comes in."""
    p = request.parameters
    body = {
        "model": base_name if request.adapter is None else request.adapter.key,
        "prompt": request.prompt, "max_tokens": p.max_tokens, "temperature": 0.0 if p.greedy else p.temperature,
        "top_p": p.top_p, "top_k": p.top_k, "min_p": p.min_p, "presence_penalty": p.presence_penalty,
        "frequency_penalty": p.frequency_penalty, "repetition_penalty": p.repetition_penalty,
        "ignore_eos": p.ignore_eos, "stream": True, "return_token_ids": True, "return_tokens_as_token_ids": True,
        "skip_special_tokens": False, "add_special_tokens": False,
    }  # fmt: skip
    optional = {
        "seed": p.seed, "logprobs": p.logprobs, "request_id": request.request_id or None,
        "logit_bias": {str(token): value for token, value in p.logit_bias.items()} or None,
    }  # fmt: skip
    return body | {name: value for name, value in optional.items() if value is not None}


async def server_sent(parts: AsyncIterator[bytes]) -> AsyncIterator[dict]:
    """The JSON of each `data:` event up to `[DONE]`; only `\\n\\n` ends one (a raw U+2028 inside is text)."""
    held = b""
    async for part in parts:
        held += part
        *whole, held = held.split(b"\n\n")
        for event in whole:
            data = event.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            if data and not event.startswith(b":"):
                yield json.loads(data)


def token_events(chunk: dict, best: int | None) -> Iterator[TokenEvent]:
    """`best`: how many of the best log probabilities were asked for, None for none. Raises Refusal."""
    if "error" in chunk or chunk.get("object") == "error":
        raise Refusal("engine_failed", f"vLLM ended the request: {error_message(chunk)}")
    for choice in chunk.get("choices", ()):
        tokens, finish = choice.get("token_ids"), choice.get("finish_reason")
        if tokens is None:
            raise Refusal("engine_failed", "this vLLM does not return token ids; 0.10.2 or newer is needed")
        if finish not in (None, "stop", "length"):
            raise Refusal("engine_failed", f"vLLM ended the request: {finish}")
        if finish and not tokens:
            raise Refusal("engine_failed", "vLLM ended the request without its last token")
        for index, token in enumerate(tokens):
            own, top = _logprobs(choice, index, best)
            yield TokenEvent(token, own, top, finish if index == len(tokens) - 1 else None)


def _logprobs(choice: dict, index: int, best: int | None) -> tuple[float | None, list[tuple[int, float]] | None]:
    """vLLM adds the chosen token to the best ones when it is not among them: it is left out of `top` here."""
    given = choice.get("logprobs")
    if best is None or not given:
        return None, None
    ranked = sorted(((_token(name), value) for name, value in (given["top_logprobs"][index] or {}).items()), key=lambda pair: -pair[1])
    return given["token_logprobs"][index], ranked[:best]


def _token(name: str) -> int:
    return int(name.removeprefix("token_id:"))


def error_message(body: object) -> str:
    """Of either form: {"error": {"message"}} (today) or {"object": "error", "message"} (before 0.10)."""
    inner = body.get("error", body) if isinstance(body, dict) else {}
    message = inner.get("message") if isinstance(inner, dict) else None
    return str(message or "no reason given")[:300]


def metrics_of(text: str) -> dict[str, float]:
    """`vllm:*` gauges and counters of GET /metrics, summed over their labels."""
    out: dict[str, float] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("{")
        value = rest.rpartition("}")[2] if rest else ""
        if not rest:
            name, _, value = line.partition(" ")
        if name in METRICS:
            out[METRICS[name]] = out.get(METRICS[name], 0.0) + float(value)
    return out


METRICS = {
    "vllm:num_requests_running": "vllm_running", "vllm:num_requests_waiting": "vllm_waiting",
    "vllm:kv_cache_usage_perc": "vllm_kv_cache_used", "vllm:gpu_cache_usage_perc": "vllm_kv_cache_used",
    "vllm:num_preemptions_total": "vllm_preemptions", "vllm:prefix_cache_hits_total": "vllm_prefix_hit_tokens",
}  # fmt: skip
