"""The engine port: what the front needs of an engine, whichever engine it is.

An engine takes token ids and gives token ids; text, templates and stop strings are the front's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class SamplingParameters:
    """How the next token is picked. `temperature` 0 is greedy; `top_k` 0 means all tokens."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0  # of the best token's probability
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: dict[int, float] = field(default_factory=dict)
    logprobs: int | None = None  # None: no log probabilities; k >= 0: of the chosen token and of the k best
    ignore_eos: bool = False

    @property
    def greedy(self) -> bool:
        return self.temperature < 1e-5


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter on local disk. `key` is the digest of its content and the name of everything that is cached."""

    name: str
    key: str
    directory: Path
    found: str  # "disk" | "s3": where the files came from for this call
    bytes: int


@dataclass
class GenerationRequest:
    prompt: list[int]
    parameters: SamplingParameters
    adapter: Any | None  # what `acquire` returned (`Lease.adapter`), or None for the base model
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One token. `finish` is set on the last one: "stop" (end token; it carries no text), "length"."""

    token: int
    logprob: float | None = None
    top: list[tuple[int, float]] | None = None
    finish: str | None = None


@dataclass
class Lease:
    """A loaded adapter that cannot be evicted until `release()`."""

    adapter: Any
    found: str  # "device" | "host" | "disk" | "s3"
    load_ms: float
    release: Any


class Engine(Protocol):
    """`generate` raises `Refusal` (queue_full, queue_timeout, non_finite_output ...). Closing the iterator cancels."""

    max_model_tokens: int
    max_choices: int  # of one request: more would not fit into the empty queue

    async def acquire(self, name: str) -> Lease: ...

    def generate(self, request: GenerationRequest) -> AsyncIterator[TokenEvent]: ...

    async def unload(self, name: str) -> bool: ...

    def healthy(self) -> bool: ...

    def stats(self) -> dict: ...

    def residency(self) -> list[dict]: ...

    async def drain(self, seconds: float) -> None: ...
