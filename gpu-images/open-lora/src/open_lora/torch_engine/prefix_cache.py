"""Keys and values of prompts seen before, under the adapter's content key: the same tokens under another adapter (or
another version of it) have other keys and values and never meet.
"""

from __future__ import annotations

from collections import OrderedDict

from open_lora.torch_engine.kv_cache import StagedKv


PER_ADAPTER = 16  # a look-up compares with each of them


class PrefixCache:
    """LRU with a byte budget; entries are immutable. `min_tokens`: shorter matches are not worth a copy."""

    def __init__(self, budget: int, min_tokens: int = 16):
        self.budget, self.min_tokens = budget, min_tokens
        self.used = 0
        self.hits = self.hit_tokens = 0
        self._entries: OrderedDict[tuple[str, tuple[int, ...]], StagedKv] = OrderedDict()
        self._by_adapter: dict[str, dict[tuple[str, tuple[int, ...]], None]] = {}

    def find(self, adapter: str, tokens: list[int]) -> tuple[StagedKv, int] | None:
        """The entry with the longest common prefix, and how long that is. At least one token is left to compute."""
        best, length = None, self.min_tokens - 1
        for key in self._by_adapter.get(adapter, ()):
            common = min(_common(key[1], tokens), len(tokens) - 1)
            if common > length:
                best, length = key, common
        if best is None:
            return None
        self._entries.move_to_end(best)
        self.hits += 1
        self.hit_tokens += length
        return self._entries[best], length

    def keep(self, adapter: str, tokens: list[int], staged: StagedKv) -> None:
        key = (adapter, tuple(tokens))
        if len(tokens) < self.min_tokens or key in self._entries or staged.bytes > self.budget:
            return
        while self.used + staged.bytes > self.budget:
            self._drop(next(iter(self._entries)))
        self._entries[key] = staged
        mine = self._by_adapter.setdefault(adapter, {})
        if len(mine) >= PER_ADAPTER:
            self._drop(next(iter(mine)))
            mine = self._by_adapter.setdefault(adapter, {})
        mine[key] = None
        self.used += staged.bytes

    def _drop(self, key: tuple[str, tuple[int, ...]]) -> None:
        self.used -= self._entries.pop(key).bytes
        keys = self._by_adapter[key[0]]
        del keys[key]
        if not keys:
            del self._by_adapter[key[0]]


def _common(a: tuple[int, ...], b: list[int]) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count
