"""The adapters of the running batch, stacked: row i of a class's blocks is the adapter of its i-th sequence.

A sequence's adapter is copied into its row once, when the sequence joins; every step then reads the blocks with two
batched matmuls per module and gathers nothing. One set of blocks per shape class (rank bucket, target modules): a
rank-64 adapter costs the rank-8 rows nothing.
"""

from __future__ import annotations

from collections import OrderedDict

import torch

from open_lora.adapters.layout import AdapterLayout
from open_lora.adapters.tiers import ResidentAdapter

KEPT_EMPTY = 2  # classes whose memory is kept when their last sequence leaves: fresh pages cost more than a step


class ClassRows:
    """`blocks`: path -> (A [capacity, in, rank], B [capacity, rank, out]), each contiguous, so that a step reads the
    adapters of one module as one stream of memory."""

    def __init__(self, layout: AdapterLayout, dtype: torch.dtype, device: torch.device):
        self.layout, self.dtype, self.device = layout, dtype, device
        self.capacity = 0
        self.blocks: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.members: list[int] = []  # batch row of each row of the blocks
        self._slots: list[list[torch.Tensor]] = []
        self._views: dict[int, dict] = {}

    @property
    def bytes(self) -> int:
        return self.capacity * self.layout.length * torch.empty((), dtype=self.dtype).element_size()

    def _grow(self, capacity: int) -> None:
        flat = torch.empty(capacity * self.layout.length, dtype=self.dtype, device=self.device)
        rank, at, grown = self.layout.rank, 0, {}
        for path, (_, _, site) in self.layout.offsets.items():
            pair = []
            for shape in ((site.inputs, rank), (rank, site.outputs)):
                size = capacity * shape[0] * shape[1]
                pair.append(flat[at : at + size].view(capacity, *shape))
                at += size
            for old, new in zip(self.blocks.get(path, ()), pair, strict=False):
                new[: self.capacity].copy_(old)
            grown[path] = tuple(pair)
        self.blocks, self.capacity = grown, capacity
        self._slots = [[half[row].view(-1) for pair in grown.values() for half in pair] for row in range(capacity)]
        self._views.clear()

    def join(self, batch_row: int, adapter: ResidentAdapter) -> None:
        at = len(self.members)
        if at == self.capacity:
            self._grow(max(4, 2 * at))
        torch._foreach_copy_(self._slots[at], adapter.halves())
        self.members.append(batch_row)

    def leave(self, batch_row: int) -> None:
        at = self.members.index(batch_row)
        last = self.members.pop()
        if at < len(self.members):
            torch._foreach_copy_(self._slots[at], self._slots[len(self.members)])
            self.members[at] = last

    def moved(self, old: int, new: int) -> None:
        """A sequence went from batch row `old` to `new`; its adapter stays where it is."""
        self.members[self.members.index(old)] = new

    def views(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """path -> (A [rows, in, rank], B [rows, rank, out]) of the current members."""
        rows = len(self.members)
        if rows not in self._views:
            self._views[rows] = {path: (a[:rows], b[:rows]) for path, (a, b) in self.blocks.items()}
        return self._views[rows]


class LoraRows:
    """All classes of the batch. Batch rows are compact, as in the decode cache: `leave` moves the last row."""

    def __init__(self, dtype: torch.dtype, device: torch.device):
        self.dtype, self.device = dtype, device
        self.classes: dict[AdapterLayout, ClassRows] = {}
        self._empty: OrderedDict[AdapterLayout, ClassRows] = OrderedDict()
        self.row_class: list[ClassRows | None] = []

    def join(self, adapter: ResidentAdapter | None) -> None:
        rows = None
        if adapter is not None:
            rows = self.classes.get(adapter.layout)
            if rows is None:
                rows = self._empty.pop(adapter.layout, None) or ClassRows(adapter.layout, self.dtype, self.device)
                self.classes[adapter.layout] = rows
            rows.join(len(self.row_class), adapter)
        self.row_class.append(rows)

    def leave(self, row: int) -> None:
        mine = self.row_class[row]
        if mine is not None:
            mine.leave(row)
            if not mine.members:
                self._empty[mine.layout] = self.classes.pop(mine.layout)
                if len(self._empty) > KEPT_EMPTY:
                    self._empty.popitem(last=False)
        last = len(self.row_class) - 1
        moved = self.row_class.pop()
        if row != last:
            self.row_class[row] = moved
            if moved is not None:
                moved.moved(last, row)

    @property
    def bytes(self) -> int:
        return sum(rows.bytes for rows in (*self.classes.values(), *self._empty.values()))

    def groups(self) -> list[tuple[slice | torch.Tensor, dict]]:
        """(which batch rows, path -> stacked views) of each class."""
        out = []
        for rows in self.classes.values():
            members = rows.members
            first = members[0]
            if members == list(range(first, first + len(members))):
                which: slice | torch.Tensor = slice(first, first + len(members))
            else:
                which = torch.tensor(members, device=self.device)
            out.append((which, rows.views()))
        return out
