"""A cache with a byte budget: the entry that is cheapest to bring back per byte, and longest unused, goes first.

GreedyDual-Size (Cao & Irani, USENIX 1997): priority = clock + cost / bytes, and the clock rises to the priority of
what was evicted, so unused entries age. Entries that are leased or pinned stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Entry:
    key: str
    value: Any
    bytes: int
    cost: float  # ms to load
    priority: float = 0.0
    leases: int = 0
    pinned: bool = False


class ByteBudget:
    """Not thread-safe: its owner calls it from one thread."""

    def __init__(self, budget: int, evicted: Callable[[Entry], None] = lambda entry: None):
        self.budget = budget
        self.used = 0
        self.evictions = 0
        self._clock = 0.0
        self._evicted = evicted
        self.entries: dict[str, Entry] = {}

    def get(self, key: str) -> Entry | None:
        entry = self.entries.get(key)
        if entry is not None:
            self._touch(entry)
        return entry

    def put(self, key: str, value: Any, size: int, cost: float) -> Entry | None:
        """The new entry, or None when leases and pins leave no room for it."""
        self.pop(key)
        if not self._make_room(size):
            return None
        entry = self.entries[key] = Entry(key, value, size, cost)
        self.used += size
        self._touch(entry)
        return entry

    def pop(self, key: str) -> Entry | None:
        entry = self.entries.pop(key, None)
        if entry is not None:
            self.used -= entry.bytes
        return entry

    def _touch(self, entry: Entry) -> None:
        entry.priority = self._clock + (1.0 + entry.cost) / max(entry.bytes, 1) * 1e6

    def _make_room(self, size: int) -> bool:
        if size > self.budget:
            return False
        if self.used + size <= self.budget:
            return True
        free = sorted((e for e in self.entries.values() if not e.leases and not e.pinned), key=lambda e: e.priority)
        for entry in free:
            self.pop(entry.key)
            self._clock = max(self._clock, entry.priority)
            self.evictions += 1
            self._evicted(entry)
            if self.used + size <= self.budget:
                return True
        return False
