"""Routes of the open server only: models, metrics, residency, adapters to add and remove."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from open_lora.engine_port import Engine
from open_lora.front.metrics import Metrics
from open_lora.front.request import parse_body
from open_lora.refusals import Refusal


def add_admin_routes(app: FastAPI, engine: Engine, source, base_name: str | None, metrics: Metrics, read_body) -> None:
    started = int(time.time())

    def model(name: str) -> dict:
        entry = {"id": name, "object": "model", "created": started, "owned_by": "open-lora"}
        return {**entry, "parent": base_name} if name != base_name else entry

    async def names() -> list[str]:
        found = await asyncio.get_running_loop().run_in_executor(None, source.names)
        return ([base_name] if base_name else []) + [name for name in found if name != base_name]

    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": [model(name) for name in await names()]})

    @app.get("/v1/models/{name}")
    async def one_model(name: str) -> Response:
        if name not in await names():
            raise Refusal("model_not_found", f"the model {name!r} does not exist", param="model")
        return JSONResponse(model(name))

    @app.get("/metrics")
    async def prometheus() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/residency")
    async def residency() -> Response:
        return JSONResponse({"adapters": engine.residency(), **engine.stats()})

    @app.post("/adapters")
    async def add(http: Request) -> Response:
        """{"name", "path"?, "pin"?}: `path` is a folder on this machine; without it the name must be known already."""
        body = parse_body(await read_body(http))
        name, path, pin = body.get("name"), body.get("path"), body.get("pin") is True
        if not isinstance(name, str):
            raise Refusal("invalid_request", "name must be a string", param="name")
        if name == base_name:
            raise Refusal("adapter_exists", "this is the name of the base model", param="name")
        if path is not None:
            if not isinstance(path, str) or not Path(path).is_dir():
                raise Refusal("invalid_request", "path must be a folder on this machine", param="path")
            source.register(name, Path(path))
        try:
            lease = await engine.acquire(name)
        except Refusal:
            if path is not None:
                source.forget(name)
            raise
        if pin:
            engine.pin(name)
        lease.release()
        return JSONResponse({"name": name, "key": lease.adapter.key, "found": lease.found, "load_ms": lease.load_ms}, 201)

    @app.delete("/adapters/{name}")
    async def remove(name: str) -> Response:
        """Takes the name out of service; running requests of it end first. Files are not touched."""
        source.disable(name)
        return JSONResponse({"name": name, "unloaded": await engine.unload(name)})
