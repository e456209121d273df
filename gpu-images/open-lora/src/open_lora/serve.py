"""`python -m open_lora.serve`: the serving image's entry point, and the front door `npm run open-lora`.

Progress goes to stderr; once the server answers, one JSON line on stdout says where.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import shutil
import signal
import socket
import sys
import time

from open_lora.settings import Settings, environment, read_settings

log = logging.getLogger("open_lora")


def main(arguments: list[str] | None = None) -> int:
    started = time.perf_counter()
    settings = read_settings(sys.argv[1:] if arguments is None else arguments, environment())
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch on a CPU: huge pages for weights, read at its first allocation
    import uvloop  # with httptools, which uvicorn takes when it is there: some 30% less of the front's CPU time per token

    from open_lora.assembly import assemble  # torch and transformers take seconds: usage errors come before them

    try:
        server = assemble(settings)
        log.info("ready to listen after %.1f s", time.perf_counter() - started)
        return uvloop.run(_serve(server, settings))
    except (OSError, ValueError) as error:
        print(f"the base model cannot be loaded: {error}", file=sys.stderr)
        return 1
    finally:
        if settings.cache_is_ours:
            shutil.rmtree(settings.cache, ignore_errors=True)


async def _serve(assembled, settings: Settings) -> int:
    import uvicorn

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        print(f"port {settings.port} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        assembled.app, log_level="warning", access_log=False, timeout_keep_alive=75, lifespan="off",
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task] = []

    async def drain() -> None:
        """One deadline for the requests and for the connections: a client that reads nothing holds one open."""
        log.info("draining")
        deadline = loop.time() + settings.drain_seconds + 2
        await assembled.drain(settings.drain_seconds)
        config.timeout_graceful_shutdown = max(1, int(deadline - loop.time()))
        server.should_exit = True

    for what in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(what, lambda: draining or draining.append(loop.create_task(drain())))
    await assembled.prefetch(settings)
    gc.collect()
    gc.freeze()  # the libraries' half a million objects stay: a full collection among requests need not walk them
    serving = loop.create_task(_quiet_signals(server, listener))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        port = listener.getsockname()[1]
        host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host
        print(json.dumps({"ready": True, "url": f"http://{host}:{port}", "port": port, **assembled.summary}), flush=True)
    await serving
    if draining:
        await draining[0]
    else:
        assembled.engine.close()
    return 0


async def _quiet_signals(server, listener) -> None:
    """uvicorn's `serve` installs handlers of its own that cut streams off; its inner part does not."""
    await server._serve(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
