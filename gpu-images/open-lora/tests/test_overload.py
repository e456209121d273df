"""Too much, too late, going away: hang-ups, bounds, drain, prefetch, and the adapter that asks a hundred times as much."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import pytest
from test_oracle import greedy
from worlds import make_engine, stock

from open_lora.assembly import assemble
from open_lora.engine_port import GenerationRequest, SamplingParameters
from open_lora.settings import read_settings

ASK = {"model": "r4-all", "prompt": [5, 6, 7], "max_tokens": 180, "temperature": 0, "ignore_eos": True}


@pytest.fixture
def make_server(llama):
    made = []

    def make(*words: str):
        settings = read_settings(["--base", f"{llama}/base", "--adapters", f"{llama}/adapters", "--port", "0", *words], {})
        made.append(assemble(settings))
        return made[-1], settings

    yield make
    for server in made:
        server.engine.close()


def client_of(server) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://x", timeout=60)


def test_a_hang_up_frees_the_slot_within_one_step(llama):
    engine = make_engine(llama, max_rows=2)
    steps = []  # rows of each step

    def counted(chunks, forward=engine.scheduler.batch.forward):
        steps.append(len(engine.scheduler.batch.rows))
        return forward(chunks)

    engine.scheduler.batch.forward = counted

    async def run():
        lease = await engine.acquire("r4-all")
        streams = [engine.generate(GenerationRequest([5, 6], SamplingParameters(150, temperature=0, ignore_eos=True), lease.adapter)) for _ in range(2)]
        for stream in streams:
            for _ in range(3):
                await anext(stream)
        await streams[1].aclose()
        at = len(steps)
        rest = [event.token async for event in streams[0]]
        return at, rest

    try:
        at, rest = asyncio.run(run())
    finally:
        engine.close()
    assert set(steps[at + 1 :]) == {1} and len(steps) > at + 20  # at most the step that was under way had both
    assert len(rest) == 147 and engine.counters["cancelled"] == 1


def test_a_full_queue_is_a_429_with_retry_after_and_the_admitted_are_served(make_server, llama):
    server, _ = make_server("--max-batch", "1", "--queue", "2")

    async def run():
        async with client_of(server) as client:
            return await asyncio.gather(*(client.post("/v1/completions", json=ASK | {"max_tokens": 60, "openledger": {"transcript": True}}) for _ in range(12)))

    replies = asyncio.run(run())
    refused = [reply for reply in replies if reply.status_code == 429]
    served = [reply for reply in replies if reply.status_code == 200]
    assert len(served) + len(refused) == 12 and len(refused) >= 8
    assert all(reply.json()["error"]["code"] == "queue_full" and int(reply.headers["Retry-After"]) >= 1 for reply in refused)
    assert len({tuple(token["id"] for token in reply.json()["openledger"]["output_tokens"]) for reply in served}) == 1


def test_a_drain_finishes_what_runs_and_refuses_what_comes(make_server):
    server, _ = make_server()

    async def run():
        async with client_of(server) as client:
            assert (await client.get("/ping")).status_code == 200
            running = asyncio.create_task(client.post("/v1/completions", json=ASK))
            while not server.engine.scheduler.batch.rows:
                await asyncio.sleep(0.001)
            draining = asyncio.create_task(server.drain(20))
            await asyncio.sleep(0)
            ping, late = await client.get("/ping"), await client.post("/v1/completions", json=ASK)
            return ping, late, await running, await draining

    ping, late, running, _ = asyncio.run(run())
    assert (ping.status_code, late.status_code, late.json()["error"]["code"]) == (503, 503, "draining")
    assert late.headers["Retry-After"] and running.status_code == 200 and running.json()["usage"]["completion_tokens"] == 180


def test_a_drain_waits_for_a_request_on_its_way_from_prompt_to_batch(llama):
    engine = make_engine(llama, max_rows=2)
    between = threading.Event()

    def slow(sequence, join=engine.scheduler.join):
        between.set()
        time.sleep(0.2)
        join(sequence)

    engine.scheduler.join = slow

    async def run():
        lease = await engine.acquire("r4-all")
        request = GenerationRequest([5, 6], SamplingParameters(12, temperature=0, ignore_eos=True), lease.adapter)

        async def tokens():
            return [event.token async for event in engine.generate(request)]

        running = asyncio.create_task(tokens())
        while not between.is_set():
            await asyncio.sleep(0.001)
        await engine.drain(20)
        return await running

    try:
        assert len(asyncio.run(run())) == 12
    finally:
        engine.close()


def test_a_drain_ends_in_time_though_a_request_does_not(make_server):
    server, _ = make_server()

    async def run():
        async with client_of(server) as client:
            running = asyncio.create_task(client.post("/v1/completions", json=ASK))
            while not server.engine.scheduler.batch.rows:
                await asyncio.sleep(0.001)
            await server.drain(0)
            return await running

    reply = asyncio.run(run())
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "draining") and reply.headers["Retry-After"]


def test_ping_says_so_when_the_engine_thread_is_dead(make_server):
    server, _ = make_server()

    def broken():
        raise MemoryError

    server.engine.scheduler.admit = broken
    server.engine.scheduler.fail_running = lambda error: (_ for _ in ()).throw(error)

    async def run():
        async with client_of(server) as client:
            reply = await client.post("/v1/completions", json=ASK)
            return reply, await client.get("/ping"), await client.post("/v1/completions", json=ASK)

    reply, ping, after = asyncio.run(run())
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "engine_failed") and ping.status_code == 503
    assert after.json()["error"]["code"] == "engine_failed"


def test_ping_says_so_when_every_step_fails_and_again_when_one_does_not(llama, monkeypatch):
    engine = make_engine(llama)
    own = engine.scheduler.batch.__class__.forward

    def broken(*_):
        raise RuntimeError("device-side assert")

    async def run():
        seen = []
        for step in range(5):
            monkeypatch.setattr(engine.scheduler.batch.__class__, "forward", broken if step < 4 else own)
            await asyncio.gather(greedy(engine, "r4-all", [5, 6], 3), return_exceptions=True)
            seen.append(engine.healthy())
        return seen

    try:
        assert asyncio.run(run()) == [True, True, False, False, True]
    finally:
        engine.close()


def test_what_is_prefetched_is_there_and_pinned_and_a_bad_name_stops_nothing(make_server):
    server, settings = make_server("--prefetch", "r4-all,nobody,r8-all", "--pin", "--device-mb", "1")

    async def run():
        await server.prefetch(settings)
        async with client_of(server) as client:
            reply = await client.post("/v1/completions", json=ASK | {"max_tokens": 2})
            return reply, (await client.get("/residency")).json(), (await client.get("/metrics")).text

    reply, residency, metrics = asyncio.run(run())
    assert reply.json()["openledger"]["found"] == reply.headers["X-OpenLora-Found"] == "device"
    assert {row["adapter"] for row in residency["adapters"] if row["pinned"]} == {"r4-all", "r8-all"}
    assert 'openlora_adapter_load_milliseconds_count{tier="device"} 1.0' in metrics


def test_an_adapter_at_a_hundred_times_the_load_delays_the_others_by_little(llama):
    """Counted in steps of the engine, not in seconds: what a step costs is the machine's matter."""

    def steps_of_the_others(hot: int) -> list[int]:
        engine = make_engine(llama, max_rows=4, chunk_tokens=64, queue=1000, queue_per_adapter=1000)
        steps = 0

        def counted(chunks, forward=engine.scheduler.batch.forward):
            nonlocal steps
            steps += 1
            return forward(chunks)

        engine.scheduler.batch.forward = counted
        took: list[int] = []

        async def other(name: str, index: int):
            before = steps
            out = await greedy(engine, name, [5 + index, 6], 12)
            took.append(steps - before)
            assert out == stock(llama, name, (5 + index, 6), 12)

        async def run():
            noise = [asyncio.create_task(greedy(engine, "r8-all", [9, 9, 9], 12)) for _ in range(hot)]
            while hot and len(engine.scheduler.batch.rows) < 4:
                await asyncio.sleep(0.001)
            await asyncio.gather(*(other(name, index) for index, name in enumerate(("r4-all", "r3-down"))))
            for task in noise:
                task.cancel()
            await asyncio.gather(*noise, return_exceptions=True)

        try:
            asyncio.run(run())
        finally:
            engine.close()
        return sorted(took)

    alone, crowded = steps_of_the_others(0), steps_of_the_others(100)
    assert crowded[-1] <= alone[-1] + 12, (alone, crowded)  # a row is taken over once it made 8 tokens of progress


def test_an_adapter_fills_the_batch_only_while_it_is_alone(llama):
    engine = make_engine(llama, max_rows=4, queue=100, queue_per_adapter=100)
    seen = []  # (rows of the hot adapter, whether the other one runs) of each step

    def counted(chunks, forward=engine.scheduler.batch.forward):
        names = [sequence.adapter.name for sequence in engine.scheduler.batch.rows]
        seen.append((names.count("r8-all"), "r4-all" in names))
        return forward(chunks)

    engine.scheduler.batch.forward = counted

    async def one(name: str, tokens: int):
        lease = await engine.acquire(name)
        request = GenerationRequest([5, 6], SamplingParameters(tokens, temperature=0, ignore_eos=True), lease.adapter)
        async for _ in engine.generate(request):
            pass

    async def run():
        hot = [asyncio.create_task(one("r8-all", 20)) for _ in range(40)]
        while len(engine.scheduler.batch.rows) < 4:
            await asyncio.sleep(0.001)
        await one("r4-all", 120)
        await asyncio.gather(*hot)

    try:
        asyncio.run(run())
    finally:
        engine.close()
    beside = [hot for hot, other in seen if other]
    assert max(beside[25:]) == 2 and sum(beside[25:]) > 150  # two of four rows, once the first ones have ended
    after = seen[max(index for index, (_, other) in enumerate(seen) if other) + 1 :]
    assert max(hot for hot, _ in after) == 4
