"""One completion request from parsed body to reply, whichever route it came by."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from open_lora.engine_port import Engine, Lease
from open_lora.front.event_stream import EventStream, frames
from open_lora.front.generation import Choice, Update, make_choices, run_choices
from open_lora.front.metrics import Metrics
from open_lora.front.prompting import make_prompts
from open_lora.front.replies import ReplyWriter
from open_lora.front.request import ParsedRequest, parse_request
from open_lora.front.text import Decoder
from open_lora.refusals import Refusal


class Completions:
    def __init__(self, engine: Engine, tokenizer, vocabulary: int, base_name: str | None, metrics: Metrics):
        """`base_name`: the name under which the base model itself is served, None to refuse it."""
        self.engine, self.tokenizer, self.vocabulary = engine, tokenizer, vocabulary
        self.base_name, self.metrics = base_name, metrics
        self.decoder = Decoder(tokenizer)
        self.running = 0

    async def answer(self, http: Request, body: dict, chat: bool) -> Response:
        """Raises Refusal before the first byte; afterwards an error is the last event of the stream."""
        request = parse_request(body, chat)
        prompts = make_prompts(request, self.tokenizer, self.vocabulary, self.engine.max_model_tokens)
        _check_bias(request, self.vocabulary)
        if len(prompts) * request.n > self.engine.max_choices:
            limit = f"this server takes up to {self.engine.max_choices} choices a request, prompts times n"
            raise Refusal("invalid_request", limit, param="n")
        started = time.perf_counter()
        lease = await self._lease(request.model)
        self.metrics.leased(lease)
        run = _Run(self, request, lease, make_choices(request, prompts, self.decoder), started)
        self.running += 1
        try:
            return await (run.streamed(http) if request.stream else run.whole(http))
        except BaseException:
            await run.close()
            raise

    async def _lease(self, model: str) -> Lease:
        if model == self.base_name:
            return Lease(None, "base", 0.0, lambda: None)
        return await self.engine.acquire(model)


def _check_bias(request: ParsedRequest, vocabulary: int) -> None:
    if any(token >= vocabulary for token in request.parameters.logit_bias):
        raise Refusal("invalid_request", f"token ids must be below {vocabulary}", param="logit_bias")


class _Run:
    def __init__(self, owner: Completions, request: ParsedRequest, lease: Lease, choices: list[Choice], started: float):
        self.owner, self.request, self.lease, self.choices, self.started = owner, request, lease, choices, started
        request_id = uuid.uuid4().hex[:24]
        self.writer = ReplyWriter(request, request_id, lease, owner.decoder, choices)
        self.updates = run_choices(owner.engine, lease, choices, request_id)
        self.closed = False

    async def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        await self.updates.aclose()
        self.lease.release()
        self.owner.running -= 1
        metrics, seconds = self.owner.metrics, time.perf_counter() - self.started
        metrics.total.observe(seconds)
        metrics.prompt_tokens.inc(sum(len(choice.prompt.tokens) for choice in self.choices))
        metrics.output_tokens.inc(sum(len(choice.events) for choice in self.choices))

    async def _first(self) -> Update | None:
        first = await anext(self.updates, None)
        self.owner.metrics.first.observe(time.perf_counter() - self.started)
        return first

    async def whole(self, http: Request) -> Response:
        try:
            await _unless_gone(http, self._collect())
            return JSONResponse(self.writer.whole(), headers=self._headers())
        except ClientDisconnect:
            return Response(status_code=499)
        finally:
            await self.close()

    async def _collect(self) -> None:
        if await self._first() is not None:
            async for _ in self.updates:
                pass

    async def streamed(self, http: Request) -> Response:
        try:
            first = await _unless_gone(http, self._first())  # a refusal of the queue is still an HTTP status
        except ClientDisconnect:
            await self.close()
            return Response(status_code=499)
        return StreamingResponse(self._events(first), media_type="text/event-stream", headers=self._headers() | NO_BUFFER)

    async def _events(self, first: Update | None) -> AsyncIterator[bytes]:
        try:
            stream = EventStream(self.writer)
            yield stream.opening()
            if first is not None:
                yield stream.update(first)
            async for update in self.updates:
                yield stream.update(update)
            yield stream.closing()
        except Refusal as refusal:
            yield frames([refusal.body()])
        finally:
            await self.close()

    def _headers(self) -> dict[str, str]:
        return {"X-OpenLora-Found": self.lease.found, "X-OpenLora-Load-Ms": f"{self.lease.load_ms:.3f}"}


NO_BUFFER = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def _unless_gone(http: Request, coroutine: Coroutine) -> Any:
    """Its result; cancels it and raises ClientDisconnect when the client hangs up before."""
    work, gone = asyncio.create_task(coroutine), asyncio.create_task(_hung_up(http))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _hung_up(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
