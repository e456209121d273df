"""The running batch of the packed engine: one forward pass a step over decode rows and chunks of prompts.

All of it runs inside `torch.inference_mode()`, which the engine's thread enters once.
"""

from __future__ import annotations

import torch

from open_lora.torch_engine.base_model import BaseModel
from open_lora.torch_engine.kv_cache import DecodeCache, StagedKv
from open_lora.torch_engine.lora_linear import LoraPlan, PlanHolder
from open_lora.torch_engine.lora_rows import LoraRows
from open_lora.torch_engine.prefix_cache import PrefixCache
from open_lora.torch_engine.sequence import Sequence
from open_lora.torch_engine.step import CURRENT, PromptChunk, Step


class PackedBatch:
    def __init__(self, base: BaseModel, holder: PlanHolder, max_rows: int, prefix_bytes: int):
        self.base, self.holder = base, holder
        self.cache = DecodeCache(base.kv, max_rows, base.max_positions)
        self.lora = LoraRows(base.dtype, base.device)
        self.prefixes = PrefixCache(prefix_bytes)
        self.failed: list[tuple[Sequence, Exception]] = []  # nobody: a packed step stands or falls as one
        self.rows: list[Sequence] = []
        self._groups: list | None = None
        head = base.model.get_output_embeddings()
        self._head = next((path for path, module in base.model.named_modules() if module is head), None)

    def begin(self, sequence: Sequence) -> None:
        """Stages a prompt, from the longest known prefix of the same adapter on."""
        staged = StagedKv(self.base.kv, len(sequence.prompt))
        known = self.prefixes.find(sequence.flow, sequence.prompt)
        if known is not None:
            staged.copy_from(*known)
        sequence.staged, sequence.filled = staged, staged.length

    def join(self, sequence: Sequence) -> None:
        """A sequence with all but its last token staged becomes the last row."""
        row = len(self.rows)
        self.cache.enter(row, sequence.staged, sequence.length + 1)
        self.lora.join(sequence.adapter)
        sequence.staged, sequence.row = None, row
        sequence.joined_at_output = len(sequence.output)
        self.rows.append(sequence)
        self._groups = None

    def leave(self, sequence: Sequence) -> None:
        if sequence.row < 0:
            sequence.staged = None
            return
        row, last = sequence.row, len(self.rows) - 1
        self.cache.leave(row, last)
        self.lora.leave(row)
        moved = self.rows.pop()
        if row != last:
            self.rows[row] = moved
            moved.row = row
        sequence.row = -1
        self._groups = None

    def park(self, sequence: Sequence) -> None:
        """Takes a running sequence out; `join` puts it back where it was."""
        sequence.staged = self.cache.take(sequence.row)
        self.leave(sequence)

    def remember_prompt(self, sequence: Sequence) -> None:
        """To be called when the prompt is staged in full, before `join`."""
        self.prefixes.keep(sequence.flow, sequence.prompt, sequence.staged)

    def forward(self, chunks: list[tuple[Sequence, int]]) -> torch.Tensor:
        """Runs all rows and, of each (sequence, n), the next n prompt tokens.

        Logits [rows + chunks, vocabulary]: of each row's next token, and of the last token of each chunk.
        """
        device, count = self.base.device, len(self.rows)
        ids = [sequence.last for sequence in self.rows]
        positions = [sequence.length for sequence in self.rows]
        keep = list(range(count))
        parts = []
        for sequence, n in chunks:
            start, at = len(ids), sequence.filled
            ids += sequence.prompt[at : at + n]
            positions += range(at, at + n)
            parts.append(PromptChunk(start, start + n, at, sequence.staged))
            keep.append(len(ids) - 1)
        where = torch.tensor([ids, positions], device=device)
        longest = max(positions[:count], default=-1) + 1
        self.cache.reserve(longest)
        CURRENT.step = Step(count, where[1, :count], longest, self.cache, parts, self.base.kv.dtype)
        self.holder.plan = plan = self._plan(chunks, parts)
        try:
            logits = self._logits(where, keep, plan)
        finally:
            CURRENT.step = self.holder.plan = None
        for sequence in self.rows:
            self.cache.lengths[sequence.row] = sequence.length + 1
        for sequence, n in chunks:
            sequence.filled += n
            sequence.staged.length = sequence.filled
        return logits

    def _plan(self, chunks: list[tuple[Sequence, int]], parts: list[PromptChunk]) -> LoraPlan | None:
        if self._groups is None:
            self._groups = self.lora.groups()
        plan = LoraPlan()
        plan.groups = self._groups
        plan.chunks = [
            (slice(part.start, part.end), sequence.adapter.views())
            for (sequence, _), part in zip(chunks, parts, strict=True)
            if sequence.adapter is not None
        ]
        return plan if plan.groups or plan.chunks else None

    def _logits(self, where: torch.Tensor, keep: list[int], plan: LoraPlan | None) -> torch.Tensor:
        arguments = {"input_ids": where[:1], "position_ids": where[1:], "use_cache": False}
        on_head = plan is not None and any(self._head in views for _, views in plan.groups + plan.chunks)
        index = torch.tensor(keep, device=where.device)
        if self.base.keeps_logits and not on_head and len(keep) < where.shape[1]:
            return self.base.model(**arguments, logits_to_keep=index).logits[0]
        logits = self.base.model(**arguments).logits[0]  # a LoRA on the LM head wants every token's place
        return logits if len(keep) == where.shape[1] else logits[index]

    @property
    def bytes(self) -> int:
        return self.cache.bytes + self.prefixes.used + self.lora.bytes
