"""One sequence in the engine: a choice of a request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from open_lora.adapters.tiers import ResidentAdapter
from open_lora.engine_port import GenerationRequest, SamplingParameters, TokenEvent
from open_lora.refusals import Refusal
from open_lora.torch_engine.sampler import Sampler

Sink = Callable[[TokenEvent | Refusal], None]


@dataclass(eq=False)
class Sequence:
    prompt: list[int]
    parameters: SamplingParameters
    adapter: ResidentAdapter | None
    sink: Sink
    sampler: Sampler
    output: list[int] = field(default_factory=list)
    queued_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    staged: object = None  # StagedKv while its prompt is computed or while it is parked; HF's cache when not packed
    filled: int = 0  # prompt tokens whose keys are staged
    row: int = -1  # row of the running batch, -1 outside of it
    joined_at_output: int = 0
    cancelled: bool = False

    @classmethod
    def of(cls, request: GenerationRequest, sink: Sink) -> Sequence:
        p = request.parameters
        return cls(request.prompt, p, request.adapter, sink, Sampler.start(p, request.prompt))

    @property
    def flow(self) -> str:
        """The queue and the prefix cache go by the adapter's content key; the base model has an own line."""
        return self.adapter.key if self.adapter is not None else "base"

    @property
    def cost(self) -> int:
        return len(self.prompt) + self.parameters.max_tokens

    @property
    def length(self) -> int:
        """Tokens whose keys and values are known once the last output token was computed on."""
        return len(self.prompt) + len(self.output) - 1

    @property
    def last(self) -> int:
        return self.output[-1]
