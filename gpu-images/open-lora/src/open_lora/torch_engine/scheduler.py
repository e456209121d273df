"""Which sequences are in the batch: the queue before it, admission, preemption, and who leaves.

The engine's thread owns it; nothing here is safe to call from another one.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from open_lora.engine_port import TokenEvent
from open_lora.refusals import Refusal
from open_lora.torch_engine.batch import PackedBatch
from open_lora.torch_engine.fair_queue import FairQueue, QueueFull
from open_lora.torch_engine.sequence import Sequence
from open_lora.torch_engine.sequential import SequentialBatch

log = logging.getLogger("open_lora")
Batch = PackedBatch | SequentialBatch
Emit = Callable[[Sequence, TokenEvent | Refusal], None]


@dataclass(frozen=True)
class EngineLimits:
    max_rows: int = 16
    chunk_tokens: int = 256  # prompt tokens computed per step, shared by the prompts in the making
    queue: int = 512
    queue_per_adapter: int = 256
    queue_seconds: float = 45.0
    prefix_bytes: int = 64 << 20
    progress_before_preemption: int = 8  # tokens


class Scheduler:
    def __init__(self, new_batch: Callable[[], Batch], limits: EngineLimits, counters: Counter[str], emit: Emit):
        self._new_batch, self.limits, self.counters, self._emit = new_batch, limits, counters, emit
        self.batch = new_batch()
        self.queue: FairQueue[Sequence] = FairQueue(limits.queue, limits.queue_per_adapter)
        self.prefilling: list[Sequence] = []
        self.busy_seconds = 0.0  # in steps

    def running(self) -> list[Sequence]:
        return [*self.batch.rows, *self.prefilling]

    # --- the line -------------------------------------------------------------------------------------------------

    def add(self, sequence: Sequence) -> None:
        try:
            self.queue.add(sequence.flow, sequence, sequence.cost)
        except QueueFull:
            self.counters["refused_queue_full"] += 1
            self._emit(sequence, Refusal("queue_full", "too many requests are waiting", retry_after=self._expected_wait()))

    def cancel(self, sequence: Sequence) -> None:
        if sequence.cancelled:
            return
        sequence.cancelled = True
        self.counters["cancelled"] += 1
        if not self.queue.remove(sequence.flow, sequence):
            self.remove(sequence)

    def expire(self) -> None:
        if not len(self.queue):
            return
        before = time.monotonic() - self.limits.queue_seconds
        for sequence in self.queue.drop(lambda item: item.started_at is None and item.queued_at < before):
            self.counters["refused_queue_timeout"] += 1
            self._emit(sequence, Refusal("queue_timeout", "no slot became free in time", retry_after=self._expected_wait()))

    def _expected_wait(self) -> int:
        """Seconds, from the tokens that wait and the pace so far; between 1 and 30."""
        pace = self.counters["tokens"] / self.busy_seconds if self.busy_seconds > 1 else 200.0
        return int(min(30, max(1, len(self.queue) * 64 / max(pace, 1))))

    # --- into the batch -------------------------------------------------------------------------------------------

    def admit(self) -> None:
        while len(self.queue) and len(self.running()) < self.limits.max_rows:
            held, share = self._held(), self._share()
            taken = self.queue.pop(lambda flow, held=held, share=share: held[flow] < share)
            if taken is None:
                return
            self._enter(taken[1])
        if len(self.queue):
            self._preempt()

    def _held(self) -> Counter[str]:
        """Rows by adapter."""
        return Counter(sequence.flow for sequence in self.running())

    def _share(self) -> int:
        """Rows that one adapter may hold: all while it is alone, its equal part beside others. A step takes as long as
        the batch is large, so an adapter with a long line would slow the others' tokens by filling the free rows."""
        return -(-self.limits.max_rows // max(1, len({*self._held(), *self.queue.flows()})))

    def _enter(self, sequence: Sequence) -> None:
        sequence.started_at = sequence.started_at or time.monotonic()
        if sequence.output:  # it was parked
            self.join(sequence)
            return
        try:
            self.batch.begin(sequence)
        except Exception as error:
            self.fail(sequence, error)
        else:
            self.prefilling.append(sequence)

    def join(self, sequence: Sequence) -> None:
        """It becomes a row: its prompt is computed and its first token is picked, or it was parked."""
        try:
            self.batch.join(sequence)
        except Exception as error:
            self.fail(sequence, error)
        else:
            if sequence in self.prefilling:
                self.prefilling.remove(sequence)

    def _preempt(self) -> None:
        """A waiting adapter with fewer rows than its fair share takes a row of the adapter that has most."""
        held = self._held()
        heaviest, most = held.most_common(1)[0]
        starved = [flow for flow in self.queue.flows() if held[flow] + 1 < most]
        progress = self.limits.progress_before_preemption
        victims = [
            sequence for sequence in self.batch.rows
            if sequence.flow == heaviest and len(sequence.output) - sequence.joined_at_output >= progress
        ]  # fmt: skip
        if not starved or not victims:
            return
        taken = self.queue.pop(lambda flow: held[flow] + 1 < most)
        if taken is None:
            return
        victim = max(victims, key=lambda sequence: sequence.started_at)
        try:
            self.batch.park(victim)
        except Exception as error:
            self.fail(victim, error)
        else:
            self.queue.add(victim.flow, victim, 0, resumed=True)
            self.counters["preempted"] += 1
        self._enter(taken[1])

    def chunks(self) -> list[tuple[Sequence, int]]:
        """Shares the step's prompt budget: each prompt in the making gets an equal part, the first ones the rest."""
        left, out = self.limits.chunk_tokens, []
        order = sorted(self.prefilling, key=lambda sequence: len(sequence.prompt) - sequence.filled)
        for index, sequence in enumerate(order):
            share = max(1, left // (len(order) - index))
            n = min(share, len(sequence.prompt) - sequence.filled)
            if n > 0 and left > 0:
                out.append((sequence, n))
                left -= n
        return out

    # --- out of it ------------------------------------------------------------------------------------------------

    def remove(self, sequence: Sequence) -> None:
        if sequence in self.prefilling:
            self.prefilling.remove(sequence)
        self.batch.leave(sequence)

    def fail(self, sequence: Sequence, error: Exception) -> None:
        """What one request alone met (no memory for it, a distribution that cannot be drawn from) ends that one only."""
        log.error("a request failed", exc_info=error)
        self._interrupt(sequence, error)
        self.remove(sequence)

    def _interrupt(self, sequence: Sequence, error: Exception) -> None:
        self._emit(sequence, Refusal("engine_failed", f"the request was interrupted ({type(error).__name__})"))

    def fail_running(self, error: Exception) -> None:
        """A step that raised takes down the requests in it, not the server: they end, and the batch is made anew."""
        self.counters["failed_steps"] += 1
        for sequence in self.running():
            self._interrupt(sequence, error)
            sequence.row = -1
        self.prefilling = []
        self.batch = self._new_batch()

    def take_all(self) -> list[Sequence]:
        """Everyone, running and waiting; none is left."""
        everyone = [*self.running(), *self.queue.drop(lambda _: True)]
        self.batch.rows, self.prefilling = [], []
        return everyone
