"""TorchEngine: one thread steps the model; asyncio callers get their tokens through queues of their own."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

import torch

from open_lora.adapters.tiers import AdapterTiers
from open_lora.engine_port import GenerationRequest, Lease, TokenEvent
from open_lora.refusals import Refusal
from open_lora.torch_engine.base_model import BaseModel
from open_lora.torch_engine.batch import PackedBatch
from open_lora.torch_engine.fair_queue import FairQueue, QueueFull
from open_lora.torch_engine.lora_linear import PlanHolder
from open_lora.torch_engine.sampler import greedy_tokens, log_probabilities
from open_lora.torch_engine.sequence import Sequence
from open_lora.torch_engine.sequential import SequentialBatch

log = logging.getLogger("open_lora")


@dataclass(frozen=True)
class EngineLimits:
    max_rows: int = 16
    chunk_tokens: int = 256  # prompt tokens computed per step, shared by the prompts in the making
    queue: int = 512
    queue_per_adapter: int = 256
    queue_seconds: float = 45.0
    prefix_bytes: int = 64 << 20
    progress_before_preemption: int = 8  # tokens


class TorchEngine:
    def __init__(self, base: BaseModel, holder: PlanHolder, tiers: AdapterTiers, limits: EngineLimits = EngineLimits()):
        self.base, self.tiers, self.limits = base, tiers, limits
        self.max_model_tokens = base.max_positions
        self.holder = holder
        self.batch = self._new_batch()
        self.queue: FairQueue[Sequence] = FairQueue(limits.queue, limits.queue_per_adapter)
        self.prefilling: list[Sequence] = []
        self._inbox: deque[tuple[str, Sequence]] = deque()
        self._wake = threading.Condition()
        self._stopping = self._draining = False
        self._failure: str | None = None
        self._ended = threading.Event()
        self._last_step = time.monotonic()
        self._outgoing: list[tuple[Sequence, TokenEvent | Refusal]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.counters: Counter[str] = Counter()
        self.busy_seconds = self.model_cpu_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def _new_batch(self) -> PackedBatch | SequentialBatch:
        if not self.base.packed:
            return SequentialBatch(self.base, self.holder)
        return PackedBatch(self.base, self.holder, self.limits.max_rows, self.limits.prefix_bytes)

    # --- the port -------------------------------------------------------------------------------------------------

    async def acquire(self, name: str) -> Lease:
        return await self.tiers.acquire(name)

    async def unload(self, name: str) -> bool:
        return await self.tiers.unload(name)

    def pin(self, name: str) -> None:
        self.tiers.pin(name)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TokenEvent]:
        if self._draining or self._stopping:
            raise Refusal("draining", "this replica is shutting down", retry_after=1)
        if self._failure:
            raise Refusal("engine_failed", "the engine has stopped")
        self._start()
        events: asyncio.Queue[TokenEvent | Refusal] = asyncio.Queue()
        sequence = Sequence.of(request, events.put_nowait)
        self._send("add", sequence)
        finished = False
        try:
            if self._ended.is_set():  # the thread went while this request came
                raise Refusal("draining", "this replica is going out of service")
            while not finished:
                event = await events.get()
                if isinstance(event, Refusal):
                    finished = True
                    raise event
                finished = event.finish is not None
                yield event
        finally:
            if not finished:
                self._send("cancel", sequence)

    def healthy(self) -> bool:
        stuck = self._active() and time.monotonic() - self._last_step > 60
        return not (self._failure or self._draining or stuck)

    def stats(self) -> dict:
        prefixes = self.batch.prefixes
        return {
            "packed": self.base.packed, "running": len(self.batch.rows), "prefilling": len(self.prefilling),
            "waiting": len(self.queue), "busy_seconds": self.busy_seconds, "model_cpu_seconds": self.model_cpu_seconds,
            "process_cpu_seconds": time.process_time(), "batch_bytes": self.batch.bytes,
            "prefix_hits": prefixes.hits if prefixes else 0, "prefix_hit_tokens": prefixes.hit_tokens if prefixes else 0,
            "device_bytes": self.tiers.device.used, "host_bytes": self.tiers.host.used,
            "device_adapters": len(self.tiers.device.entries), "host_adapters": len(self.tiers.host.entries),
            "evictions": self.tiers.device.evictions, **{name: self.counters[name] for name in COUNTERS},
        }  # fmt: skip

    def residency(self) -> list[dict]:
        return self.tiers.residency()

    async def drain(self, seconds: float) -> None:
        """No new requests; waits for the running ones, then stops the thread."""
        self._draining = True
        deadline = time.monotonic() + seconds
        while self._active() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self.close()

    def close(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(5)
        self.tiers.close()

    # --- between the threads --------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self._thread.is_alive() and self._thread.ident is None:
            self._thread.start()

    def _active(self) -> bool:
        return bool(self.batch.rows or self.prefilling or len(self.queue) or self._inbox)

    def _send(self, what: str, sequence: Sequence) -> None:
        with self._wake:
            self._inbox.append((what, sequence))
            self._wake.notify()

    def _emit(self, sequence: Sequence, event: TokenEvent | Refusal) -> None:
        self._outgoing.append((sequence, event))

    def _flush(self) -> None:
        if self._outgoing:
            batch, self._outgoing = self._outgoing, []
            try:
                self._loop.call_soon_threadsafe(_deliver, batch)
            except RuntimeError:  # the loop was closed: nobody listens any more
                self._stopping = True

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                self._loop_until_stopped()
        except BaseException as error:  # a dead thread must not leave callers waiting
            self._failure = f"{type(error).__name__}: {error}"
            log.exception("the engine has stopped")
        finally:
            self._end_all()

    def _loop_until_stopped(self) -> None:
        while not self._stopping:
            with self._wake:
                if not self._active():
                    self._wake.wait(1.0)
            try:
                self._read_inbox()
                self._expire()
                self._admit()
                if self.batch.rows or self.prefilling:
                    started = time.perf_counter()
                    self._step()
                    self.busy_seconds += time.perf_counter() - started
            except Exception as error:
                log.exception("engine step failed")
                self._fail_running(error)
            self._last_step = time.monotonic()
            self._flush()

    def _read_inbox(self) -> None:
        while self._inbox:
            what, sequence = self._inbox.popleft()
            if what == "add":
                try:
                    self.queue.add(sequence.flow, sequence, sequence.cost)
                except QueueFull:
                    self.counters["refused_queue_full"] += 1
                    wait = self._expected_wait()
                    self._emit(sequence, Refusal("queue_full", "too many requests are waiting", retry_after=wait))
            elif not sequence.cancelled:
                sequence.cancelled = True
                self.counters["cancelled"] += 1
                if not self.queue.remove(sequence.flow, sequence):
                    self._remove(sequence)

    def _expected_wait(self) -> int:
        """Seconds, from the tokens that wait and the pace so far; between 1 and 30."""
        pace = self.counters["tokens"] / self.busy_seconds if self.busy_seconds > 1 else 200.0
        return int(min(30, max(1, len(self.queue) * 64 / max(pace, 1))))

    def _expire(self) -> None:
        if not len(self.queue):
            return
        before = time.monotonic() - self.limits.queue_seconds
        for sequence in self.queue.drop(lambda item: item.started_at is None and item.queued_at < before):
            self.counters["refused_queue_timeout"] += 1
            self._emit(sequence, Refusal("queue_timeout", "no slot became free in time", retry_after=self._expected_wait()))

    def _admit(self) -> None:
        while len(self.queue) and len(self.batch.rows) + len(self.prefilling) < self.limits.max_rows:
            held, share = self._held(), self._share()
            taken = self.queue.pop(lambda flow, held=held, share=share: held[flow] < share)
            if taken is None:
                return
            self._enter(taken[1])
        if len(self.queue):
            self._preempt()

    def _held(self) -> Counter[str]:
        """Rows by adapter."""
        return Counter(sequence.flow for sequence in [*self.batch.rows, *self.prefilling])

    def _share(self) -> int:
        """Rows that one adapter may hold: all while it is alone, its equal part beside others. A step takes as long as
        the batch is large, so an adapter with a long line would slow the others' tokens by filling the free rows."""
        return -(-self.limits.max_rows // max(1, len({*self._held(), *self.queue.flows()})))

    def _enter(self, sequence: Sequence) -> None:
        sequence.started_at = sequence.started_at or time.monotonic()
        if sequence.output:  # it was parked
            self.batch.join(sequence)
        else:
            self.batch.begin(sequence)
            self.prefilling.append(sequence)

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
        self.batch.park(victim)
        self.queue.add(victim.flow, victim, 0, resumed=True)
        self.counters["preempted"] += 1
        self._enter(taken[1])

    def _step(self) -> None:
        chunks = self._chunks()
        decoding = list(self.batch.rows)
        before = time.thread_time()
        logits = self.batch.forward(chunks)
        self.model_cpu_seconds += time.thread_time() - before
        self._pick(decoding, logits[: len(decoding)])
        ready, rows = [], []
        for index, (sequence, _) in enumerate(chunks):
            if sequence.filled == len(sequence.prompt):
                ready.append(sequence)
                rows.append(len(decoding) + index)
        if ready:
            for sequence in ready:
                self.prefilling.remove(sequence)
                self.batch.remember_prompt(sequence)
            for sequence in self._pick(ready, logits[rows]):
                self.batch.join(sequence)

    def _chunks(self) -> list[tuple[Sequence, int]]:
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
                self._remove(sequence)
                continue
            raw = logits[index]
            token = best[index] if sequence.sampler.plain else sequence.sampler.pick(raw.float().cpu().clone())
            if self._accept(sequence, token, raw):
                going.append(sequence)
            else:
                self._remove(sequence)
        return going

    def _accept(self, sequence: Sequence, token: int, raw: torch.Tensor) -> bool:
        p = sequence.parameters
        sequence.output.append(token)
        sequence.sampler.counts[token] += 1
        self.counters["tokens"] += 1
        finish = None
        if token in self.base.eos and not p.ignore_eos:
            finish = "stop"
        elif len(sequence.output) >= p.max_tokens or len(sequence.prompt) + len(sequence.output) >= self.max_model_tokens:
            finish = "length"
        logprob, top = log_probabilities(raw, token, p.logprobs) if p.logprobs is not None else (None, None)
        self._emit(sequence, TokenEvent(token, logprob, top, finish))
        if finish:
            self.counters["finished"] += 1
        return finish is None

    def _remove(self, sequence: Sequence) -> None:
        if sequence in self.prefilling:
            self.prefilling.remove(sequence)
        self.batch.leave(sequence)

    def _fail_running(self, error: Exception) -> None:
        """A step that raised takes down the requests in it, not the server: they end, and the batch is made anew."""
        self.counters["failed_steps"] += 1
        for sequence in [*self.batch.rows, *self.prefilling]:
            self._emit(sequence, Refusal("engine_failed", f"the request was interrupted ({type(error).__name__})"))
            sequence.row = -1
        self.prefilling = []
        self.batch = self._new_batch()

    def _end_all(self) -> None:
        self._ended.set()
        code = "engine_failed" if self._failure else "draining"
        waiting = self.queue.drop(lambda _: True) + [item for what, item in self._inbox if what == "add"]
        for sequence in [*self.batch.rows, *self.prefilling, *waiting]:
            self._emit(sequence, Refusal(code, "this replica is going out of service"))
        self.batch.rows, self.prefilling = [], []
        self._inbox.clear()
        self._flush()


COUNTERS = ("failed_steps", "tokens", "finished", "cancelled", "preempted", "non_finite", "refused_queue_full", "refused_queue_timeout")


def _deliver(batch: list[tuple[Sequence, TokenEvent | Refusal]]) -> None:
    for sequence, event in batch:
        sequence.sink(event)
