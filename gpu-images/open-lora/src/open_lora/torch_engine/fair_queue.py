"""Who is served next: deficit round robin over adapters (Shreedhar & Varghese, SIGCOMM 1995), bounded.

The cost of a request is its tokens (prompt + allowed output). An adapter with a long line gets its quantum per round
like any other, so it delays the others by at most one of its requests.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class QueueFull(Exception):
    pass


class _Line(Generic[Item]):
    def __init__(self) -> None:
        self.items: deque[tuple[Item, int]] = deque()
        self.deficit = 0


class FairQueue(Generic[Item]):
    def __init__(self, limit: int, limit_per_flow: int, quantum: int = 256):
        self.limit, self.limit_per_flow, self.quantum = limit, limit_per_flow, quantum
        self._lines: OrderedDict[str, _Line[Item]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def flows(self) -> list[str]:
        return list(self._lines)

    def waiting(self, flow: str) -> int:
        line = self._lines.get(flow)
        return len(line.items) if line else 0

    def add(self, flow: str, item: Item, cost: int, *, resumed: bool = False) -> None:
        """Raises QueueFull. A resumed item was admitted before: it goes to the front and no limit applies."""
        if not resumed and (self._count >= self.limit or self.waiting(flow) >= self.limit_per_flow):
            raise QueueFull
        line = self._lines.setdefault(flow, _Line())
        if resumed:
            line.items.appendleft((item, 0))  # its cost was charged when it was first served
        else:
            line.items.append((item, cost))
        self._count += 1

    def pop(self, allowed: Callable[[str], bool] = lambda flow: True) -> tuple[str, Item] | None:
        """The next item of a flow that is allowed now; the turn goes on to the next flow once a deficit is used up."""
        if not any(allowed(flow) for flow in self._lines):
            return None
        while True:
            flow, line = next(iter(self._lines.items()))
            if allowed(flow):
                item, cost = line.items[0]
                if cost <= line.deficit:
                    line.deficit -= cost
                    self._take(flow, line)
                    return flow, item
                line.deficit += self.quantum
                if cost <= line.deficit:
                    line.deficit -= cost
                    self._take(flow, line)
                    return flow, item
            self._lines.move_to_end(flow)

    def _take(self, flow: str, line: _Line[Item]) -> None:
        line.items.popleft()
        self._count -= 1
        if not line.items:
            del self._lines[flow]
        elif line.deficit < line.items[0][1]:
            self._lines.move_to_end(flow)

    def remove(self, flow: str, item: Item) -> bool:
        line = self._lines.get(flow)
        if line is None:
            return False
        for index, (candidate, _) in enumerate(line.items):
            if candidate is item:
                del line.items[index]
                self._count -= 1
                if not line.items:
                    del self._lines[flow]
                return True
        return False

    def drop(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Removes and returns every item that is `unwanted`."""
        dropped = []
        for flow, line in list(self._lines.items()):
            for item, _ in list(line.items):
                if unwanted(item):
                    self.remove(flow, item)
                    dropped.append(item)
        return dropped
