"""The HTTP application. Hosting mode has `/ping` and `/invocations` only, as SageMaker calls them."""

from __future__ import annotations

import asyncio
import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from open_lora.engine_port import Engine
from open_lora.front.admin import add_admin_routes
from open_lora.front.completions import Completions
from open_lora.front.gatekeeper import HEADER, Gatekeeper
from open_lora.front.metrics import Metrics
from open_lora.front.request import parse_body
from open_lora.refusals import Refusal

log = logging.getLogger("open_lora")
MAX_BODY = 8 << 20


def make_app(
    engine: Engine, tokenizer, vocabulary: int, *, base_name: str | None, gatekeeper: Gatekeeper | None, source=None
) -> FastAPI:
    """With a gatekeeper: hosting mode. Without: the open loopback server with the OpenAI and admin routes."""
    app = FastAPI(title="OpenLoRA", docs_url=None, redoc_url=None, openapi_url=None)
    metrics = Metrics(engine)
    completions = Completions(engine, tokenizer, vocabulary, base_name, metrics)
    app.state.completions = completions

    @app.get("/ping")
    async def ping() -> Response:
        healthy = engine.healthy()
        return JSONResponse({"status": "ok" if healthy else "unavailable"}, 200 if healthy else 503)

    @app.post("/invocations")
    async def invocations(http: Request) -> Response:
        raw = await _body(http)
        if gatekeeper is not None:
            header = http.headers.get(HEADER)
            await asyncio.get_running_loop().run_in_executor(None, gatekeeper.check, header, raw)
        body = parse_body(raw)
        return await completions.answer(http, body, "messages" in body)

    if gatekeeper is None:

        @app.post("/v1/chat/completions")
        async def chat(http: Request) -> Response:
            return await completions.answer(http, parse_body(await _body(http)), True)

        @app.post("/v1/completions")
        async def complete(http: Request) -> Response:
            return await completions.answer(http, parse_body(await _body(http)), False)

        add_admin_routes(app, engine, source, base_name, metrics, _body)

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        metrics.replies.labels(str(refusal.status), refusal.code).inc()
        return JSONResponse(refusal.body(), refusal.status, headers=refusal.headers())

    @app.exception_handler(404)
    async def no_route(http: Request, _: Exception) -> Response:
        return await refused(http, Refusal("not_found", f"no route {http.method} {http.url.path}"))

    @app.exception_handler(405)
    async def no_method(http: Request, _: Exception) -> Response:
        return await refused(http, Refusal("not_found", f"no route {http.method} {http.url.path}"))

    @app.exception_handler(Exception)
    async def failed(http: Request, error: Exception) -> Response:
        log.error("request failed", exc_info=error)
        return await refused(http, Refusal("engine_failed", "the server failed on this request"))

    return app


async def _body(http: Request) -> bytes:
    """The whole body, refused as soon as it is too large."""
    parts, size = [], 0
    async for part in http.stream():
        size += len(part)
        if size > MAX_BODY:
            raise Refusal("request_too_large", f"the body is larger than {MAX_BODY} bytes")
        parts.append(part)
    return b"".join(parts)
