"""Hook: Lambda response streaming behind a REST API (`responseTransferMode: STREAM`).

MiniStack buffers every answer. Here each API request gets an id, which travels to the function in a header that the
preload takes out of the event again; the function's chunks come back to `/_openledger/stream/<id>` and go to the
caller as they arrive. When nothing was streamed, MiniStack's own buffered answer is sent.
"""

from __future__ import annotations

import asyncio
import json
import uuid

from ..seam import need, replace

HOOK = "response streaming"
HEADER = b"x-openledger-stream"
STREAM_PATH = "/_openledger/stream/"
API_PATHS = ("/_aws/execute-api/", "/restapis/")


class _Answer:
    """What one API request was answered with so far: frames of its stream, or nothing."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue = asyncio.Queue(maxsize=64)
        self.started = asyncio.Event()


_waiting: dict[str, _Answer] = {}


def install() -> None:
    """Let integration URIs name the streaming operation; the ASGI side is `wrap`."""
    before = need("services.apigateway_v1", "_extract_lambda_ref_from_integration_uri", HOOK)

    def extract(uri: str) -> str:
        return before(uri.replace("/response-streaming-invocations", "/invocations") if uri else uri)

    replace("services.apigateway_v1", "_extract_lambda_ref_from_integration_uri", extract, HOOK)


def wrap(app):
    """The ASGI app with streaming: API requests get an id, streams of functions are taken in."""

    async def streaming(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["path"].startswith(STREAM_PATH):
            await _take_in(scope["path"][len(STREAM_PATH) :], receive, send)
        elif scope["path"].startswith(API_PATHS):
            await _serve(app, scope, receive, send)
        else:
            await app(scope, receive, send)

    return streaming


async def _serve(app, scope, receive, send) -> None:
    key = str(uuid.uuid4())
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != HEADER]
    answer = _waiting[key] = _Answer()
    buffered: list[dict] = []

    async def keep(message) -> None:
        buffered.append(message)

    inner = asyncio.create_task(app({**scope, "headers": [*headers, (HEADER, key.encode())]}, receive, keep))
    started = asyncio.create_task(answer.started.wait())
    try:
        await asyncio.wait({inner, started}, return_when=asyncio.FIRST_COMPLETED)
        if answer.started.is_set():
            await _forward(answer, inner, send)
            return
        await inner
        for message in buffered:
            await send(message)
    finally:
        _waiting.pop(key, None)
        started.cancel()


async def _forward(answer: _Answer, inner: asyncio.Task, send) -> None:
    """Send frames until the stream's end. A function that dies midway cuts the connection, as the gateway does."""
    while True:
        frame = asyncio.create_task(answer.frames.get())
        await asyncio.wait({frame, inner}, return_when=asyncio.FIRST_COMPLETED)
        if not frame.done() and answer.frames.empty():
            await asyncio.wait({frame}, timeout=1)  # the function is done: its last frames may still be on the way
            if not frame.done():
                frame.cancel()
                raise ConnectionResetError("the function ended before its response stream did")
        message = await frame
        if message is None:
            raise ConnectionResetError("the response stream broke off")
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await inner
            return


async def _take_in(key: str, receive, send) -> None:
    """The function's request: four bytes of length, the prelude as JSON, then the body as it is written."""
    answer = _waiting.get(key)
    status, held, begun = (200 if answer else 404), b"", False
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            if answer:
                await answer.frames.put(None)
            return
        held += message.get("body", b"")
        if answer and not begun and len(held) >= 4 and len(held) >= 4 + int.from_bytes(held[:4], "big"):
            size = 4 + int.from_bytes(held[:4], "big")
            await answer.frames.put(_start(json.loads(held[4:size])))
            answer.started.set()
            held, begun = held[size:], True
        if answer and begun and held:
            await answer.frames.put({"type": "http.response.body", "body": held, "more_body": True})
            held = b""
        if not message.get("more_body"):
            break
    if answer and begun:
        await answer.frames.put({"type": "http.response.body", "body": b"", "more_body": False})
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _start(prelude: dict) -> dict:
    """The prelude of HttpResponseStream.from: statusCode, headers, cookies."""
    headers = [(name.lower().encode(), str(value).encode()) for name, value in (prelude.get("headers") or {}).items()]
    headers += [(b"set-cookie", cookie.encode()) for cookie in prelude.get("cookies") or []]
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"application/octet-stream"))
    return {"type": "http.response.start", "status": int(prelude.get("statusCode", 200)), "headers": headers}
