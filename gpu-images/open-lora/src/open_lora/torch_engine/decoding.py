"""One step: a forward pass over the batch, then the next token of each sequence that has one."""

from __future__ import annotations

import time

import torch

from open_lora.engine_port import TokenEvent
from open_lora.refusals import Refusal
from open_lora.torch_engine.base_model import BaseModel
from open_lora.torch_engine.sampler import greedy_tokens, log_probabilities
from open_lora.torch_engine.scheduler import Emit, Scheduler
from open_lora.torch_engine.sequence import Sequence


class Decoding:
    def __init__(self, base: BaseModel, scheduler: Scheduler, emit: Emit):
        self.base, self.scheduler, self._emit = base, scheduler, emit
        self.counters = scheduler.counters
        self.model_cpu_seconds = 0.0

    def step(self) -> None:
        scheduler = self.scheduler
        chunks, decoding = scheduler.chunks(), list(scheduler.batch.rows)
        before = time.thread_time()
        logits = scheduler.batch.forward(chunks)
        self.model_cpu_seconds += time.thread_time() - before
        failed = {id(sequence) for sequence, _ in scheduler.batch.failed}
        for sequence, error in scheduler.batch.failed:
            scheduler.fail(sequence, error)
        going = [row for row, sequence in enumerate(decoding) if id(sequence) not in failed]
        self._pick([decoding[row] for row in going], logits[going] if failed else logits[: len(decoding)])
        ready, rows = [], []
        for index, (sequence, _) in enumerate(chunks):
            if sequence.filled == len(sequence.prompt) and id(sequence) not in failed:
                scheduler.batch.remember_prompt(sequence)
                ready.append(sequence)
                rows.append(len(decoding) + index)
        for sequence in self._pick(ready, logits[rows]) if ready else []:
            scheduler.join(sequence)

    def _pick(self, sequences: list[Sequence], logits: torch.Tensor) -> list[Sequence]:
        """Samples one token for each; returns those that go on. Finished ones leave the batch."""
        if not sequences:
            return []
        best, finite = greedy_tokens(logits)
        going = []
        for index, sequence in enumerate(sequences):
            if not finite[index]:
                self._emit(sequence, Refusal("non_finite_output", "the adapter's output is not finite"))
                self.counters["non_finite"] += 1
                self.scheduler.remove(sequence)
                continue
            try:
                sampler = sequence.sampler
                token = best[index] if sampler.plain else sampler.pick(logits[index].float().cpu().clone())
                goes_on = self._accept(sequence, token, logits, index)
            except Exception as error:
                self.scheduler.fail(sequence, error)
                continue
            if goes_on:
                going.append(sequence)
            else:
                self.scheduler.remove(sequence)
        return going

    def _accept(self, sequence: Sequence, token: int, logits: torch.Tensor, row: int) -> bool:
        """Appends the token, picked from the row's logits; false when it was the last one."""
        p = sequence.parameters
        sequence.output.append(token)
        if not sequence.sampler.plain:
            sequence.sampler.counts[token] += 1
        self.counters["tokens"] += 1
        finish = None
        if token in self.base.eos and not p.ignore_eos:
            finish = "stop"
        elif len(sequence.output) >= p.max_tokens or len(sequence.prompt) + len(sequence.output) >= self.base.max_positions:
            finish = "length"
        logprob, top = log_probabilities(logits[row], token, p.logprobs) if p.logprobs is not None else (None, None)
        self._emit(sequence, TokenEvent(token, logprob, top, finish))
        if finish:
            self.counters["finished"] += 1
        return finish is None
