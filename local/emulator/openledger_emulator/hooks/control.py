"""Our own routes of the gateway, for whoever started it: `/_openledger/auth`, `save`, `stage`, `commit`,
`conflicts`, `health`.

They need the control token that the starter passed by environment: a web page that a user has open can reach a
loopback port, and must not be able to switch IAM off.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
from collections.abc import Callable

from ..seam import need
from . import transaction_conflicts

HOOK = "control"
PREFIX = "/_openledger/"
TOKEN_HEADER = b"x-openledger-control"


def wrap(app, token: str, saves: dict[str, Callable[[], None]], processes: Callable[[], dict]):
    """The ASGI app with the control routes in front."""

    async def controlled(scope, receive, send):
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(PREFIX) or path.startswith(f"{PREFIX}stream/"):
            await app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(TOKEN_HEADER, b"")
        if not token or not hmac.compare_digest(given, token.encode()):
            await _reply(send, 403, {"message": "the control token is missing or wrong"})
            return
        body = await _body(receive)
        action = path[len(PREFIX) :]
        if action == "auth" and scope["method"] == "POST":
            await asyncio.to_thread(switch_iam, bool(json.loads(body)["enabled"]))
            await _reply(send, 200, {"enabled": need("app", "AUTH", HOOK)})
        elif action in saves and scope["method"] == "POST":
            await asyncio.to_thread(saves[action])
            await _reply(send, 200, {action: True})
        elif action == "conflicts" and scope["method"] == "POST":
            transaction_conflicts.inject(json.loads(body)["share"])
            await _reply(send, 200, {})
        elif action == "health":
            writes = dict(transaction_conflicts.WRITES)
            await _reply(send, 200, {"iam": need("app", "AUTH", HOOK), "processes": processes(), "writes": writes})
        else:
            await _reply(send, 404, {"message": f"no control route {path}"})

    return controlled


def switch_iam(enabled: bool) -> None:
    """Turn IAM on or off. Warm Lambda workers hold the credentials of the mode they were started in, so they go."""
    from ministack import app

    app.AUTH = enabled
    workers = need("core.lambda_runtime", "_workers", HOOK)
    with need("core.lambda_runtime", "_lock", HOOK):
        retired = [worker for entries in workers.values() for worker in entries]
        workers.clear()
    threading.Thread(target=_retire, args=(retired,), name="openledger-retire-workers", daemon=True).start()


def _retire(workers: list) -> None:
    """Kill each worker when the invocation that it may be in has ended; nobody leases it again."""
    kill = need("core.lambda_runtime", "kill_workers", HOOK)
    while workers:
        kill([worker for worker in workers if not worker.in_use])
        workers = [worker for worker in workers if worker.in_use]
        time.sleep(0.2)


async def _body(receive) -> bytes:
    whole = b""
    while True:
        message = await receive()
        whole += message.get("body", b"")
        if not message.get("more_body"):
            return whole


async def _reply(send, status: int, body: dict) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
