"""The whole server under load: first token, pace, fairness, and what the front costs beside the model."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from processes import Replica, write_base
from shapes import MIDDLE
from stock_adapters import write_adapters

TOKENS = 16


def measure(seed: int, quick: bool, device: str, say: Callable[[str], None]) -> dict:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_base(root / "base", MIDDLE, seed)
        write_adapters(root, MIDDLE, [f"a{i}" for i in range(17)], rank=8, seed=seed)
        with Replica(root, "--max-batch", "16", "--device", device) as replica:
            out = asyncio.run(_run(replica.url, seed, 20 if quick else 60, say))
    say(f"serving: {out}")
    return out


async def _run(url: str, seed: int, seconds: float, say: Callable[[str], None]) -> dict:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await asyncio.gather(*(_ask(client, f"a{i}") for i in range(17)))
        alone = await _load(client, seed, seconds, hot=0)
        say(f"16 adapters at 1x: {alone}")
        crowded = await _load(client, seed, seconds, hot=100)
        say(f"and one at 100x: {crowded}")
        before = (await client.get("/residency")).json()
        began = time.perf_counter()
        await asyncio.gather(*(_ask(client, f"a{i}", tokens=96, stream=True) for i in range(16)))
        spent = time.perf_counter() - began
        after = (await client.get("/residency")).json()
        model, process = (after[key] - before[key] for key in ("model_cpu_seconds", "process_cpu_seconds"))
    return {
        "p95 of the others, alone (s)": alone["p95"], "p95 of the others, one at 100x (s)": crowded["p95"],
        "p99 of the others, alone (s)": alone["p99"], "p99 of the others, one at 100x (s)": crowded["p99"],
        "p95 ratio": round(crowded["p95"] / alone["p95"], 2), "requests refused (429)": crowded["refused"],
        "time to first token p50 (s)": alone["first"], "streamed tokens/s, batch 16": round(16 * 96 / spent, 1),
        "front and scheduler over model, CPU": round((process - model) / model, 3),
    }  # fmt: skip


async def _load(client: httpx.AsyncClient, seed: int, seconds: float, hot: int) -> dict:
    """Sixteen adapters with a request every 8 s each (Poisson); `hot`: one more adapter at that many times the load.

    The sixteen ask at the same moments whether there is a hot one or not.
    """
    end = time.perf_counter() + seconds
    seen: list[float] = []
    first: list[float] = []
    refused = 0

    async def ask(name: str, record: bool) -> None:
        nonlocal refused
        took, start, status = await _ask(client, name, stream=record)
        if status == 429:
            refused += 1
        if record:
            assert status == 200
            seen.append(took)
            first.append(start)

    async def arrivals(name: str, rate: float, record: bool) -> None:
        rng, running = random.Random(f"{seed} {name}"), []
        while time.perf_counter() < end:
            await asyncio.sleep(rng.expovariate(rate))
            running.append(asyncio.create_task(ask(name, record)))
        await asyncio.gather(*running)

    others = [arrivals(f"a{i}", 0.25 / 2, True) for i in range(16)]
    await asyncio.gather(*others, *([arrivals("a16", 0.25 / 2 * hot, False)] if hot else []))
    seen.sort()
    at = lambda share: round(seen[int(len(seen) * share)], 3)
    return {"p95": at(0.95), "p99": at(0.99), "first": round(sorted(first)[len(first) // 2], 3), "requests": len(seen), "refused": refused}


async def _ask(client: httpx.AsyncClient, name: str, tokens: int = TOKENS, stream: bool = False) -> tuple[float, float, int]:
    body = {"model": name, "prompt": list(range(5, 37)), "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": stream}
    began = time.perf_counter()
    first = 0.0
    async with client.stream("POST", "/v1/completions", content=json.dumps(body)) as reply:
        async for _ in reply.aiter_bytes():
            first = first or time.perf_counter() - began
    return time.perf_counter() - began, first, reply.status_code
