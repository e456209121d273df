"""The adapters of the running batch, stacked: row i of a class's matrix is the adapter of its i-th sequence.

A sequence's adapter is copied into its row once, when the sequence joins; every step then reads strided views with
two batched matmuls per module and gathers nothing. One matrix per shape class (rank bucket, target modules): a
rank-64 adapter costs the rank-8 rows nothing.
"""

from __future__ import annotations

import torch

from open_lora.adapters.layout import AdapterLayout
from open_lora.adapters.tiers import ResidentAdapter


class ClassRows:
    def __init__(self, layout: AdapterLayout, dtype: torch.dtype, device: torch.device):
        self.layout = layout
        self.matrix = torch.empty(0, layout.length, dtype=dtype, device=device)
        self.members: list[int] = []  # batch row of each row of the matrix
        self._views: dict[int, dict] = {}

    def join(self, batch_row: int, adapter: ResidentAdapter) -> None:
        at = len(self.members)
        if at == self.matrix.shape[0]:
            grown = self.matrix.new_empty(max(4, 2 * at), self.layout.length)
            grown[:at].copy_(self.matrix)
            self.matrix = grown
            self._views.clear()
        self.matrix[at].copy_(adapter.flat)
        self.members.append(batch_row)

    def leave(self, batch_row: int) -> None:
        at = self.members.index(batch_row)
        last = self.members.pop()
        if at < len(self.members):
            self.matrix[at].copy_(self.matrix[len(self.members)])
            self.members[at] = last

    def moved(self, old: int, new: int) -> None:
        """A sequence went from batch row `old` to `new`; its adapter stays where it is."""
        self.members[self.members.index(old)] = new

    def views(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """path -> (A^T [rows, in, rank], B [rows, rank, out]) of the current members."""
        rows = len(self.members)
        if rows not in self._views:
            views = self.layout.views(self.matrix[:rows])
            self._views[rows] = {path: (a.transpose(1, 2), b) for path, (a, b) in views.items()}
        return self._views[rows]


class LoraRows:
    """All classes of the batch. Batch rows are compact, as in the decode cache: `leave` moves the last row."""

    def __init__(self, dtype: torch.dtype, device: torch.device):
        self.dtype, self.device = dtype, device
        self.classes: dict[AdapterLayout, ClassRows] = {}
        self.row_class: list[ClassRows | None] = []

    def join(self, adapter: ResidentAdapter | None) -> None:
        rows = None
        if adapter is not None:
            rows = self.classes.get(adapter.layout)
            if rows is None:
                rows = self.classes[adapter.layout] = ClassRows(adapter.layout, self.dtype, self.device)
            rows.join(len(self.row_class), adapter)
        self.row_class.append(rows)

    def leave(self, row: int) -> None:
        mine = self.row_class[row]
        if mine is not None:
            mine.leave(row)
            if not mine.members:
                del self.classes[mine.layout]  # its matrix goes too: memory follows the classes in use
        last = len(self.row_class) - 1
        moved = self.row_class.pop()
        if row != last:
            self.row_class[row] = moved
            if moved is not None:
                moved.moved(last, row)

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
