"""Logits -> the next token. Greedy rows are done together; the others one by one with the request's own generator,
so that a seed gives the same tokens whatever else is in the batch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from open_lora.engine_port import SamplingParameters


@dataclass
class Sampler:
    """The state of one sequence: counts for penalties and a seeded generator."""

    parameters: SamplingParameters
    prompt: frozenset[int] = frozenset()
    counts: Counter = field(default_factory=Counter)
    generator: torch.Generator | None = None

    @classmethod
    def start(cls, parameters: SamplingParameters, prompt: list[int]) -> Sampler:
        generator = None
        if not parameters.greedy:
            generator = torch.Generator()
            if parameters.seed is None:
                generator.seed()
            else:
                generator.manual_seed(parameters.seed & (2**63 - 1))
        return cls(parameters, frozenset(prompt) if parameters.repetition_penalty != 1 else frozenset(), Counter(), generator)

    @cached_property
    def plain(self) -> bool:
        """The arg max of the raw logits is the answer."""
        p = self.parameters
        neutral = p.presence_penalty == 0 and p.frequency_penalty == 0 and p.repetition_penalty == 1
        return p.greedy and neutral and not p.logit_bias

    def pick(self, logits: torch.Tensor) -> int:
        """logits [vocabulary], float32 on the CPU; changed in place."""
        p = self.parameters
        if p.repetition_penalty != 1:  # arXiv:1909.05858, over prompt and output, as in transformers
            seen = torch.tensor(sorted(self.prompt | set(self.counts)))
            values = logits[seen]
            logits[seen] = torch.where(values < 0, values * p.repetition_penalty, values / p.repetition_penalty)
        if self.counts and (p.presence_penalty or p.frequency_penalty):
            seen = torch.tensor(list(self.counts))
            often = torch.tensor(list(self.counts.values()), dtype=torch.float32)
            logits[seen] -= p.presence_penalty + p.frequency_penalty * often
        for token, bias in p.logit_bias.items():
            logits[token] += bias
        if p.greedy:
            return int(logits.argmax())
        return self._draw(logits / p.temperature)

    def _draw(self, logits: torch.Tensor) -> int:
        p = self.parameters
        if 0 < p.top_k < logits.numel():
            logits[logits < logits.topk(p.top_k).values[-1]] = float("-inf")
        probabilities = logits.softmax(-1, dtype=torch.float64)
        probabilities[probabilities < p.min_p * probabilities.max()] = 0
        if p.top_p < 1:
            ordered, order = probabilities.sort(descending=True)
            outside = ordered.cumsum(-1) - ordered >= p.top_p
            ordered[outside] = 0
            probabilities = torch.zeros_like(probabilities).scatter_(0, order, ordered)
        return int(torch.multinomial(probabilities, 1, generator=self.generator))


def greedy_tokens(logits: torch.Tensor) -> tuple[list[int], list[bool]]:
    """Of logits [rows, vocabulary]: the best token of each row, and whether its logit is finite (NaN and infinity win).

    numpy's arg max takes a tenth of torch's time on a CPU.
    """
    if logits.device.type != "cpu":
        values, tokens = logits.max(-1)
        return tokens.tolist(), torch.isfinite(values).tolist()
    rows = logits.float().numpy()
    tokens = rows.argmax(-1)
    return tokens.tolist(), np.isfinite(rows[np.arange(len(rows)), tokens]).tolist()


def log_probabilities(logits: torch.Tensor, token: int, best: int) -> tuple[float, list[tuple[int, float]]]:
    """(of `token`, the `best` best as (token, log p)) from the model's raw logits [vocabulary]."""
    logp = logits.float().log_softmax(-1)
    top = logp.topk(best) if best else None
    pairs = list(zip(top.indices.tolist(), top.values.tolist(), strict=True)) if top else []
    return float(logp[token]), pairs
