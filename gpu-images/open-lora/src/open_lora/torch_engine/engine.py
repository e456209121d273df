"""TorchEngine: one thread steps the model; asyncio callers get their tokens through queues of their own."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator

import torch

from open_lora.adapters.tiers import AdapterTiers
from open_lora.engine_port import GenerationRequest, Lease, TokenEvent
from open_lora.refusals import Refusal
from open_lora.torch_engine.base_model import BaseModel
from open_lora.torch_engine.batch import PackedBatch
from open_lora.torch_engine.decoding import Decoding
from open_lora.torch_engine.lora_linear import PlanHolder
from open_lora.torch_engine.scheduler import EngineLimits, Scheduler
from open_lora.torch_engine.sequence import Sequence
from open_lora.torch_engine.sequential import SequentialBatch

log = logging.getLogger("open_lora")
FAILURES = 3  # steps in a row without a token: out of service
COUNTERS = ("failed_steps", "tokens", "finished", "cancelled", "preempted", "non_finite", "refused_queue_full", "refused_queue_timeout")


class TorchEngine:
    def __init__(self, base: BaseModel, holder: PlanHolder, tiers: AdapterTiers, limits: EngineLimits = EngineLimits()):
        self.base, self.tiers = base, tiers
        self.max_model_tokens, self.max_choices = base.max_positions, limits.queue_per_adapter
        self.counters: Counter[str] = Counter()

        def new_batch() -> PackedBatch | SequentialBatch:
            if not base.packed:
                return SequentialBatch(base, holder)
            return PackedBatch(base, holder, limits.max_rows, limits.prefix_bytes)

        self.scheduler = Scheduler(new_batch, limits, self.counters, self._emit)
        self.decoding = Decoding(base, self.scheduler, self._emit)
        self._inbox: deque[tuple[str, Sequence]] = deque()
        self._wake = threading.Condition()
        self._stopping = self._draining = False
        self._open = 0  # requests that their callers still listen to; the event loop's own, as `drain` is
        self._failure: str | None = None
        self._ended = threading.Event()
        self._last_step = time.monotonic()
        self._failures = self._tokens_then = 0  # steps that failed in a row without a token, and tokens at the last of them
        self._outgoing: list[tuple[Sequence, TokenEvent | Refusal]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

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
        self._open += 1
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
            self._open -= 1
            if not finished:
                self._send("cancel", sequence)

    def healthy(self) -> bool:
        stuck = self._active() and time.monotonic() - self._last_step > 60
        failing = self._failures >= FAILURES and self._tokens_then == self.counters["tokens"]
        return not (self._failure or self._draining or stuck or failing)

    def stats(self) -> dict:
        scheduler, batch = self.scheduler, self.scheduler.batch
        prefixes = batch.prefixes
        return {
            "packed": self.base.packed, "running": len(batch.rows), "prefilling": len(scheduler.prefilling),
            "waiting": len(scheduler.queue), "busy_seconds": scheduler.busy_seconds, "model_cpu_seconds": self.decoding.model_cpu_seconds,
            "process_cpu_seconds": time.process_time(), "batch_bytes": batch.bytes,
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
        while self._open and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self.close()

    def close(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(3)
        self.tiers.close()

    # --- between the threads --------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self._thread.is_alive() and self._thread.ident is None:
            self._thread.start()

    def _active(self) -> bool:
        return bool(self.scheduler.running() or len(self.scheduler.queue) or self._inbox)

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
                self.scheduler.expire()
                self.scheduler.admit()
                if self.scheduler.running():
                    started = time.perf_counter()
                    self.decoding.step()
                    self.scheduler.busy_seconds += time.perf_counter() - started
            except Exception as error:
                log.exception("engine step failed")
                self._failures = self._failures + 1 if self._tokens_then == self.counters["tokens"] else 1
                self._tokens_then = self.counters["tokens"]
                self.scheduler.fail_running(error)
            self._last_step = time.monotonic()
            self._flush()

    def _read_inbox(self) -> None:
        while self._inbox:
            what, sequence = self._inbox.popleft()
            (self.scheduler.add if what == "add" else self.scheduler.cancel)(sequence)

    def _end_all(self) -> None:
        self._ended.set()
        code = "engine_failed" if self._failure else "draining"
        coming = [item for what, item in self._inbox if what == "add"]
        for sequence in [*self.scheduler.take_all(), *coming]:
            self._emit(sequence, Refusal(code, "this replica is going out of service"))
        self._inbox.clear()
        self._flush()


def _deliver(batch: list[tuple[Sequence, TokenEvent | Refusal]]) -> None:
    for sequence, event in batch:
        sequence.sink(event)
