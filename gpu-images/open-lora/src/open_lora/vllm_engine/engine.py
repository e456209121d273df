"""VllmEngine: the engine port over a stock vLLM server."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx

from open_lora.engine_port import GenerationRequest, Lease, TokenEvent
from open_lora.refusals import Refusal
from open_lora.vllm_engine.adapters import VllmTiers
from open_lora.vllm_engine.admission import Admission
from open_lora.vllm_engine.server import VllmServer
from open_lora.vllm_engine.wire import completion_body, error_message, metrics_of, server_sent, token_events

WATCH_SECONDS = 2.0
SILENT_SECONDS = 15.0  # without a good health check: out of service


class VllmEngine:
    def __init__(self, server: VllmServer, client: httpx.AsyncClient, tiers: VllmTiers, admission: Admission):
        self.server, self.client, self.tiers, self.admission = server, client, tiers, admission
        self.max_model_tokens, self.max_choices = server.max_model_tokens, admission.queue.limit_per_flow
        self.counters: Counter[str] = Counter()
        self._draining = False
        self._last_good = time.monotonic()
        self._gauges: dict[str, float] = {}
        self._watcher: asyncio.Task | None = None

    async def acquire(self, name: str) -> Lease:
        return await self.tiers.acquire(name)

    async def unload(self, name: str) -> bool:
        return await self.tiers.unload(name)

    def pin(self, name: str) -> None:
        self.tiers.pin(name)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TokenEvent]:
        if self._draining:
            raise Refusal("draining", "this replica is shutting down", retry_after=1)
        if not self.healthy():
            raise Refusal("engine_failed", "vLLM does not answer")
        flow = request.adapter.key if request.adapter is not None else "base"
        await self.admission.enter(flow, len(request.prompt) + request.parameters.max_tokens)
        finished = False
        try:
            async for event in self._stream(request):
                self.counters["tokens"] += 1
                finished = event.finish is not None
                yield event
        except Refusal:
            finished = True
            raise
        finally:
            self.admission.leave()
            self.counters["finished" if finished else "cancelled"] += 1

    async def _stream(self, request: GenerationRequest) -> AsyncIterator[TokenEvent]:
        """Leaving it early closes the connection, on which vLLM aborts the request."""
        body, best = completion_body(request, self.server.base_name), request.parameters.logprobs
        try:
            async with self.client.stream("POST", "/v1/completions", json=body) as reply:
                if reply.status_code != 200:
                    raise self._refused(request, reply.status_code, await reply.aread())
                async for chunk in server_sent(reply.aiter_bytes()):
                    for event in token_events(chunk, best):
                        yield event
                        if event.finish:
                            return
        except (httpx.HTTPError, ValueError) as error:
            raise Refusal("engine_failed", f"vLLM broke the stream off ({type(error).__name__})") from None
        raise Refusal("engine_failed", "vLLM ended the stream before the request was finished")

    def _refused(self, request: GenerationRequest, status: int, raw: bytes) -> Refusal:
        try:
            message = error_message(httpx.Response(status, content=raw).json())
        except ValueError:
            message = f"status {status}"
        if status in (429, 503):
            return Refusal("queue_full", message, retry_after=2)
        if status == 404 and request.adapter is not None:
            self.tiers.forget(request.adapter.key)
            return Refusal("engine_failed", "vLLM has lost the adapter; it will be loaded anew")
        return Refusal("invalid_request", message) if status == 400 else Refusal("engine_failed", f"vLLM: {message}")

    def healthy(self) -> bool:
        self._watch()
        silent = time.monotonic() - self._last_good > SILENT_SECONDS
        return self.server.alive() and not (self._draining or silent)

    def _watch(self) -> None:
        if self._watcher is None:
            self._last_good = time.monotonic()
            self._watcher = asyncio.get_running_loop().create_task(self._watch_on())

    async def _watch_on(self) -> None:
        while True:
            try:
                if (await self.client.get("/health", timeout=5)).status_code == 200:
                    self._last_good = time.monotonic()
                    self._gauges = metrics_of((await self.client.get("/metrics", timeout=5)).text)
            except (httpx.HTTPError, ValueError):
                pass
            await asyncio.sleep(WATCH_SECONDS)

    def stats(self) -> dict:
        entries = self.tiers.device.entries.values()
        return {
            "running": self.admission.running, "prefilling": 0, "waiting": len(self.admission.queue),
            "device_adapters": len(entries), "device_bytes": sum(entry.value.bytes for entry in entries),
            "evictions": self.tiers.device.evictions, "refused_queue_full": self.admission.refused_full,
            "refused_queue_timeout": self.admission.refused_timeout,
            **{name: self.counters[name] for name in ("tokens", "finished", "cancelled")}, **self._gauges,
        }  # fmt: skip

    def residency(self) -> list[dict]:
        return self.tiers.residency()

    async def drain(self, seconds: float) -> None:
        self._draining = True
        deadline = time.monotonic() + seconds
        while (self.admission.running or len(self.admission.queue)) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._watcher is not None:
            self._watcher.cancel()
        self.close()

    def close(self) -> None:
        self.tiers.close()
        self.server.stop()
