"""Budgets, single flight, leases, pins, changed files."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
from test_oracle import greedy
from worlds import make_adapter, make_engine, stock

from open_lora.adapters.byte_budget import ByteBudget
from open_lora.adapters.sources import FolderSource
from open_lora.refusals import Refusal



class SlowSource(FolderSource):
    """Counts and delays fetches, as a bucket far away."""

    def __init__(self, root, seconds=0.05):
        super().__init__(root)
        self.seconds, self.fetched, self.lock = seconds, [], threading.Lock()

    def fetch(self, name):
        with self.lock:
            self.fetched.append(name)
        time.sleep(self.seconds)
        return super().fetch(name)


def test_a_hundred_first_requests_load_once(llama):
    source = SlowSource(llama / "adapters")
    engine = make_engine(llama, source=source)

    async def run():
        leases = await asyncio.gather(*(engine.acquire("r8-all") for _ in range(100)))
        again = await engine.acquire("r8-all")
        return leases, again

    leases, again = asyncio.run(run())
    assert source.fetched == ["r8-all"]
    assert {lease.found for lease in leases} == {"disk"} and again.found == "device" and again.load_ms < leases[0].load_ms
    assert next(iter(engine.tiers.device.entries.values())).leases == 101
    for lease in [*leases, again, again]:  # releasing twice counts once
        lease.release()
    assert next(iter(engine.tiers.device.entries.values())).leases == 0


def test_budget_leases_and_pins(llama):
    size = {}

    async def sizes():
        engine = make_engine(llama)
        for name in ("r4-all", "r8-all", "r8-qv"):
            size[name] = (await engine.acquire(name)).adapter.bytes

    asyncio.run(sizes())
    assert size["r4-all"] == size["r8-all"]
    engine = make_engine(llama, device_bytes=2 * size["r8-all"], host_bytes=size["r8-all"])

    async def run():
        first = await engine.acquire("r4-all")
        second = await engine.acquire("r8-all")
        with pytest.raises(Refusal) as refused:
            await engine.acquire("r8-qv")
        assert refused.value.code == "no_adapter_capacity" and refused.value.retry_after
        second.release()
        third = await engine.acquire("r8-qv")  # takes the room of the one without a lease
        assert engine.tiers.device.used <= engine.tiers.device.budget
        first.release()
        third.release()
        assert (await engine.acquire("r8-all")).found == "host"
        engine.pin("r8-all")
        for name in ("r4-all", "r8-qv", "r3-down", "r4-all"):
            (await engine.acquire(name)).release()
        assert (await engine.acquire("r8-all")).found == "device"

    asyncio.run(run())


def test_answers_stay_right_while_adapters_thrash(llama):
    """Room for two of four adapters, 40 requests."""
    engine = make_engine(llama, device_bytes=150_000, max_rows=2)
    names = ["r4-all", "r8-all", "r16-rslora", "r8-qv"]

    async def one(index: int):
        while True:
            try:
                return await greedy(engine, names[index % 4], [3, 4, 5 + index], 6)
            except Refusal as refusal:
                assert refusal.code == "no_adapter_capacity"
                await asyncio.sleep(0.01)

    async def run():
        return await asyncio.gather(*(one(index) for index in range(40)))

    try:
        results = asyncio.run(run())
    finally:
        engine.close()
    for index, out in enumerate(results):
        assert out == stock(llama, names[index % 4], (3, 4, 5 + index), 6)
    assert engine.tiers.device.evictions > 0 and engine.tiers.device.used <= 150_000


def test_a_changed_folder_is_another_adapter(llama, tmp_path):
    shutil.copytree(llama / "base", tmp_path / "base")
    shutil.copytree(llama / "adapters" / "r4-all", tmp_path / "adapters" / "x")
    engine = make_engine(tmp_path)
    prompt = list(range(5, 45))

    async def run():
        before = await greedy(engine, "x", prompt, 8)
        shutil.copytree(llama / "adapters" / "r8-all", tmp_path / "adapters" / "x", dirs_exist_ok=True)
        return before, await greedy(engine, "x", prompt, 8)

    try:
        before, after = asyncio.run(run())
    finally:
        engine.close()
    assert before == stock(llama, "r4-all", tuple(prompt), 8)
    assert after == stock(llama, "r8-all", tuple(prompt), 8)


def test_unload_waits_for_its_requests(llama):
    engine = make_engine(llama)

    async def run():
        lease = await engine.acquire("r4-all")
        unloading = asyncio.create_task(engine.unload("r4-all"))
        await asyncio.sleep(0.05)
        assert not unloading.done() and engine.tiers.device.used > 0
        lease.release()
        assert await unloading and engine.tiers.device.used == 0
        assert not await engine.unload("r4-all")

    asyncio.run(run())


def test_a_slow_load_does_not_hold_up_a_resident_adapter(llama):
    source = SlowSource(llama / "adapters", seconds=0)
    engine = make_engine(llama, source=source, max_rows=1)

    async def run():
        await greedy(engine, "r4-all", [3, 4], 2)
        source.seconds = 3.0
        slow = asyncio.create_task(greedy(engine, "r8-all", [3, 4], 2))
        await asyncio.sleep(0.05)
        await greedy(engine, "r4-all", [3, 4], 2)
        waits = not slow.done()
        await slow
        return waits

    try:
        assert asyncio.run(run())
    finally:
        engine.close()


def test_the_dear_and_the_recent_stay():
    budget = ByteBudget(300)
    budget.put("cheap", 1, 100, cost=1)
    budget.put("dear", 2, 100, cost=500)
    budget.put("mid", 3, 100, cost=20)
    assert budget.put("new", 4, 100, cost=20) is not None
    assert set(budget.entries) == {"dear", "mid", "new"} and budget.used == 300
    budget.get("mid")
    budget.put("newer", 5, 100, cost=20)
    assert "dear" in budget.entries
    assert budget.put("too large", 6, 400, cost=1) is None


def test_the_memory_of_an_evicted_adapter_goes_back_to_the_system(llama):
    """Beside a neighbour that stays: from the heap its bytes would become a hole (docs/decisions/053)."""

    def mapped(address: int) -> bool:
        ranges = (line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines())
        return any(int(start, 16) <= address < int(end, 16) for start, end in ranges)

    engine = make_engine(llama)

    async def load(name: str) -> int:
        lease = await engine.acquire(name)
        lease.release()
        return lease.adapter.flat.data_ptr()

    async def run():
        gone, stays = await load("r4-all"), await load("r8-all")
        assert mapped(gone) and mapped(stays)
        await engine.unload("r4-all")
        gc.collect()
        return mapped(gone), mapped(stays)

    assert asyncio.run(run()) == (False, True)


def test_what_is_loaded_and_evicted_leaves_nothing(llama):
    """A hundred loads of 28 tensors: not an object for each. The names ever asked for are kept, these two are."""
    engine = make_engine(llama)

    async def load(times):
        for _ in range(times):
            for name in ("r4-all", "r8-all"):
                (await engine.acquire(name)).release()
                engine.tiers.device.pop(engine.tiers._names[name].key)

    async def run():
        await load(20)
        gc.collect()
        before = sys.getallocatedblocks()
        await load(50)
        gc.collect()
        return sys.getallocatedblocks() - before

    assert asyncio.run(run()) < 1000
