"""For architectures that cannot be packed: HF's own forward, one sequence after the other, with its cache or without.

Slow and general; the same rules of admission, fairness and refusal hold.
"""

from __future__ import annotations

import torch

from open_lora.torch_engine.base_model import BaseModel
from open_lora.torch_engine.lora_linear import LoraPlan, PlanHolder
from open_lora.torch_engine.sequence import Sequence


class SequentialBatch:
    def __init__(self, base: BaseModel, holder: PlanHolder):
        self.base, self.holder = base, holder
        self.rows: list[Sequence] = []
        self.bytes = 0
        self.prefixes = None
        self.failed: list[tuple[Sequence, Exception]] = []

    def begin(self, sequence: Sequence) -> None:
        sequence.staged, sequence.filled = None, 0

    def join(self, sequence: Sequence) -> None:
        sequence.row = len(self.rows)
        sequence.joined_at_output = len(sequence.output)
        self.rows.append(sequence)

    def park(self, sequence: Sequence) -> None:
        self._remove(sequence)

    def leave(self, sequence: Sequence) -> None:
        if sequence.row >= 0:
            self._remove(sequence)
        sequence.staged = None

    def _remove(self, sequence: Sequence) -> None:
        self.rows.remove(sequence)
        sequence.row = -1
        for row, other in enumerate(self.rows):
            other.row = row

    def remember_prompt(self, sequence: Sequence) -> None:
        pass

    def forward(self, chunks: list[tuple[Sequence, int]]) -> torch.Tensor:
        """Whose forward raises is in `failed` and has logits of no meaning; raises when nobody's went well."""
        work = [(sequence, [sequence.last]) for sequence in self.rows]
        work += [(sequence, sequence.prompt[sequence.filled : sequence.filled + n]) for sequence, n in chunks]
        logits, self.failed = torch.zeros(len(work), self.base.vocabulary, dtype=self.base.dtype, device=self.base.device), []
        for row, (sequence, tokens) in enumerate(work):
            try:
                logits[row] = self._one(sequence, tokens)
            except Exception as error:
                self.failed.append((sequence, error))
        if len(self.failed) == len(work):
            raise self.failed[-1][1]
        for sequence, n in chunks:
            sequence.filled += n
        return logits

    def _one(self, sequence: Sequence, tokens: list[int]) -> torch.Tensor:
        plan = None
        if sequence.adapter is not None:
            plan = LoraPlan()
            plan.chunks = [(slice(None), sequence.adapter.views())]  # whatever rows a module sees are this sequence's
        self.holder.plan = plan
        try:
            return self._cached(sequence, tokens) if self.base.cached else self._whole(sequence, len(tokens))
        finally:
            self.holder.plan = None

    def _cached(self, sequence: Sequence, tokens: list[int]) -> torch.Tensor:
        cache = {} if sequence.staged is None else {"past_key_values": sequence.staged}
        out = self.base.model(input_ids=self._ids(tokens), use_cache=True, **cache)
        sequence.staged = out.past_key_values
        return out.logits[0, -1]

    def _whole(self, sequence: Sequence, new: int) -> torch.Tensor:
        if not sequence.output and sequence.filled + new < len(sequence.prompt):  # nobody reads these logits
            return torch.zeros(self.base.vocabulary, dtype=self.base.dtype, device=self.base.device)
        return self.base.model(input_ids=self._ids(sequence.prompt + sequence.output), use_cache=False).logits[0, -1]

    def _ids(self, tokens: list[int]) -> torch.Tensor:
        return torch.tensor([tokens], device=self.base.device)
