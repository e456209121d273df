"""Adapter tiers: device -> host -> disk -> source. One asyncio loop owns them; blocking work runs in threads.

`acquire` gives a lease: while it is held the adapter stays on the device, so that an unload or an eviction never races
a request. 100 concurrent first requests for one adapter cause one load (single flight), and a slow load holds nothing
that a resident adapter needs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from open_lora.adapters.byte_budget import ByteBudget, Entry
from open_lora.adapters.sources import Source
from open_lora.adapters.weights import HostAdapter
from open_lora.engine_port import AdapterFiles, Lease
from open_lora.refusals import Refusal

REMEMBER_REFUSAL_SECONDS = 2.0


class ResidentAdapter:
    """An adapter on the device. `key` names its content in every cache."""

    def __init__(self, host: HostAdapter, flat: torch.Tensor):
        self.name, self.key, self.layout, self.flat = host.name, host.key, host.layout, flat
        self.bytes = host.bytes

    def views(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """path -> (A [in, rank], B [rank, out]). Made at each call: kept, they are a hundred objects a resident adapter."""
        return self.layout.views(self.flat)

    def halves(self) -> tuple[torch.Tensor, ...]:
        """A and B of each path in the layout's order, flat."""
        return self.flat.split(self.layout.sizes)


@dataclass(slots=True)
class _Name:
    """What a name meant when it was last loaded."""

    signature: object
    key: str


class AdapterTiers:
    def __init__(
        self,
        source: Source,
        read: Callable[[AdapterFiles], HostAdapter],
        device: torch.device,
        device_bytes: int,
        host_bytes: int,
        loaders: int = 2,
    ):
        self.source, self.read, self.torch_device = source, read, device
        self.shared_memory = device.type == "cpu"
        self.device = ByteBudget(device_bytes, self._demote)
        self.host = ByteBudget(host_bytes)
        self._pool = ThreadPoolExecutor(loaders, thread_name_prefix="adapter-load")
        self._names: dict[str, _Name] = {}
        self._flights: dict[str, asyncio.Future] = {}
        self._refused: dict[str, tuple[float, object, Refusal]] = {}
        self._pins: set[str] = set()
        self.found_total: Counter[str] = Counter()
        self.refused_total: Counter[str] = Counter()
        self.load_ms: list[tuple[float, int]] = []  # (ms, bytes) of loads since the last scrape, bounded

    async def acquire(self, name: str) -> Lease:
        """Raises Refusal: what the source or the checks refuse, or no_adapter_capacity."""
        started = time.perf_counter()
        signature = self.source.signature(name)
        known = self._names.get(name)
        if known is not None and known.signature == signature:
            entry = self.device.get(known.key)
            if entry is not None:
                return self._lease(entry, "device", started)
        self._raise_remembered(name, signature)
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = asyncio.ensure_future(self._load(name, signature))
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        entry, found = await asyncio.shield(flight)
        if self.device.entries.get(entry.key) is not entry:  # evicted between the load and this waiter's turn
            return await self.acquire(name)
        return self._lease(entry, found, started)

    def _raise_remembered(self, name: str, signature: object) -> None:
        remembered = self._refused.get(name)
        if remembered is None:
            return
        until, what, refusal = remembered
        if what == signature and time.monotonic() < until:
            self.refused_total[refusal.code] += 1
            raise Refusal(refusal.code, refusal.message, param=refusal.param, retry_after=refusal.retry_after)
        del self._refused[name]

    def _lease(self, entry: Entry, found: str, started: float) -> Lease:
        entry.leases += 1
        ms = (time.perf_counter() - started) * 1000
        self.found_total[found] += 1
        if found != "device" and len(self.load_ms) < 10_000:
            self.load_ms.append((ms, entry.bytes))
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                entry.leases -= 1

        return Lease(entry.value, found, ms, release)

    async def _load(self, name: str, signature: object) -> tuple[Entry, str]:
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        try:
            known = self._names.get(name)
            if known is not None and known.signature != signature and await loop.run_in_executor(self._pool, self.source.recheck, name):
                known.signature = signature
                entry = self.device.get(known.key)
                if entry is not None:
                    return entry, "device"
            host, found = await self._host_copy(loop, name, signature)
            resident = await self._bring(loop, host)
            cost = (time.perf_counter() - started) * 1000
            if self.shared_memory:
                self.host.pop(host.key)  # the same memory moves up, it is not counted twice
            entry = self.device.put(host.key, resident, self._size(host), cost)
            if entry is None:
                self._gone(resident)
                raise Refusal("no_adapter_capacity", "all adapter memory is in use by running requests", retry_after=2)
            entry.pinned = name in self._pins
            self._names[name] = _Name(signature, host.key)
            return entry, found
        except Refusal as refusal:
            self.refused_total[refusal.code] += 1
            if refusal.status < 500:
                if len(self._refused) > 4096:
                    self._refused.clear()
                self._refused[name] = (time.monotonic() + REMEMBER_REFUSAL_SECONDS, signature, refusal)
            raise

    async def _host_copy(self, loop, name: str, signature: object) -> tuple[HostAdapter, str]:
        known = self._names.get(name)
        if known is not None and known.signature == signature:
            entry = self.host.get(known.key)
            if entry is not None:
                return entry.value, "host"
        host, found, ms = await loop.run_in_executor(self._pool, self._from_source, name)
        if not self.shared_memory:
            self.host.put(host.key, host, host.bytes, ms)
        return host, found

    def _from_source(self, name: str) -> tuple[HostAdapter, str, float]:
        started = time.perf_counter()
        files = self.source.fetch(name)
        try:
            host = self.read(files)
        finally:
            self.source.done(name)
        return host, files.found, (time.perf_counter() - started) * 1000

    async def _bring(self, loop, host: HostAdapter) -> ResidentAdapter:
        """Host memory -> device."""
        if self.shared_memory:
            return ResidentAdapter(host, host.flat)
        return ResidentAdapter(host, await loop.run_in_executor(self._pool, host.flat.to, self.torch_device))

    def _size(self, host: HostAdapter) -> int:
        """What it takes of the device's budget."""
        return host.bytes

    def _gone(self, resident: ResidentAdapter) -> None:
        """It left the device for good; memory follows the last reference."""

    def _demote(self, entry: Entry) -> None:
        """An adapter leaves the device: on a CPU its memory is handed to the host tier, else the host has a copy."""
        if self.shared_memory:
            resident = entry.value
            host = HostAdapter(resident.name, resident.key, resident.layout, resident.flat)
            self.host.put(entry.key, host, entry.bytes, entry.cost)

    def pin(self, name: str) -> None:
        """Keeps the adapter on the device, now if it is there, else from its next load on."""
        self._pins.add(name)
        known = self._names.get(name)
        if known is not None and known.key in self.device.entries:
            self.device.entries[known.key].pinned = True

    async def prefetch(self, names: list[str], pin: bool = False) -> dict[str, str]:
        """name -> where it was found, or the code of the refusal."""
        out = {}
        for name in names:
            try:
                lease = await self.acquire(name)
                if pin:
                    self.pin(name)
                out[name] = lease.found
                lease.release()
            except Refusal as refusal:
                out[name] = refusal.code
        return out

    async def unload(self, name: str, seconds: float = 30.0) -> bool:
        """Waits for running requests of this adapter, then drops it from device and host. False: it was not loaded."""
        self._pins.discard(name)
        known = self._names.pop(name, None)
        if known is None:
            return False
        entry = self.device.entries.get(known.key)
        deadline = time.monotonic() + seconds
        while entry is not None and entry.leases and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        shared = any(other.key == known.key for other in self._names.values())  # another name, same content
        if entry is not None and not entry.leases and not shared:
            self.device.pop(known.key)
            self.host.pop(known.key)
            self._gone(entry.value)
        return True

    def residency(self) -> list[dict]:
        rows = []
        for tier, budget in (("device", self.device), ("host", self.host)):
            for entry in budget.entries.values():
                rows.append({
                    "adapter": entry.value.name, "key": entry.key, "tier": tier, "bytes": entry.value.bytes,
                    "rank_bucket": entry.value.layout.rank, "leases": entry.leases, "pinned": entry.pinned,
                })  # fmt: skip
        return rows

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
