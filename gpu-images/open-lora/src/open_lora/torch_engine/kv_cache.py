"""Keys and values. A running sequence has one row of the decode cache; a prompt in the making has staged KV of its own.

Rows are kept compact (the last row moves into a freed one), so attention reads views of the cache and copies nothing.
Staged KV is also what the prefix cache keeps and what a preempted sequence is parked in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

KEPT_POSITIONS = 512  # a cache of so many is not made smaller


@dataclass(frozen=True)
class KvShape:
    layers: int
    heads: int  # key/value heads
    width: int  # of a head
    value_width: int
    dtype: torch.dtype
    device: torch.device

    @property
    def bytes_per_token(self) -> int:
        size = torch.empty((), dtype=self.dtype).element_size()
        return self.layers * self.heads * (self.width + self.value_width) * size


class StagedKv:
    """keys [layers, heads, capacity, width], values alike; the first `length` positions are filled."""

    def __init__(self, shape: KvShape, capacity: int):
        self.shape = shape
        self.device = shape.device
        self.length = 0
        self.keys = torch.zeros(shape.layers, shape.heads, capacity, shape.width, dtype=shape.dtype, device=shape.device)
        self.values = torch.zeros(
            shape.layers, shape.heads, capacity, shape.value_width, dtype=shape.dtype, device=shape.device
        )

    @property
    def bytes(self) -> int:
        return self.keys.shape[2] * self.shape.bytes_per_token

    def copy_from(self, other: StagedKv, length: int) -> None:
        self.keys[:, :, :length].copy_(other.keys[:, :, :length])
        self.values[:, :, :length].copy_(other.values[:, :, :length])
        self.length = length

    def trimmed(self, length: int) -> StagedKv:
        out = StagedKv(self.shape, length)
        out.copy_from(self, length)
        return out


class DecodeCache:
    """keys [layers, rows, heads, positions, width]; grows by doubling in both directions, up to `max_positions`, and gives
    positions back when the sequence that needed them has left: all rows are as long as the longest."""

    def __init__(self, shape: KvShape, max_rows: int, max_positions: int):
        self.shape, self.max_rows, self.max_positions = shape, max_rows, max_positions
        self.lengths = [0] * max_rows
        self.keys = self.values = torch.empty(0)
        self.row_index = torch.arange(max_rows, device=shape.device)
        self.rows = self.positions = 0

    def _fit(self, rows: int, positions: int) -> None:
        if rows <= self.rows and positions <= self.positions:
            return
        new_rows = min(self.max_rows, max(self.rows, 4 if not self.rows else _double(self.rows, rows)))
        new_positions = min(self.max_positions, max(self.positions, _double(max(self.positions, 128), positions)))
        self._resize(max(new_rows, rows), max(new_positions, positions))

    def _shrink(self) -> None:
        needed = max(self.lengths)
        if self.positions > KEPT_POSITIONS and 4 * needed <= self.positions:
            self._resize(self.rows, max(KEPT_POSITIONS, _double(128, 2 * needed)))

    def _resize(self, rows: int, positions: int) -> None:
        shape, kept, resized = self.shape, min(self.positions, positions), []
        for old, width in ((self.keys, shape.width), (self.values, shape.value_width)):
            new = torch.zeros(shape.layers, rows, shape.heads, positions, width, dtype=shape.dtype, device=shape.device)
            if self.rows:
                new[:, : self.rows, :, :kept].copy_(old[:, :, :, :kept])
            resized.append(new)
        self.keys, self.values = resized
        self.rows, self.positions = rows, positions

    def enter(self, row: int, staged: StagedKv, room: int) -> None:
        """Copies a sequence into `row`; at least `room` positions can be written."""
        self._fit(row + 1, max(room, staged.length))
        length = staged.length
        self.keys[:, row, :, :length].copy_(staged.keys[:, :, :length])
        self.values[:, row, :, :length].copy_(staged.values[:, :, :length])
        self.lengths[row] = length

    def reserve(self, positions: int) -> None:
        self._fit(self.rows, positions)

    def take(self, row: int) -> StagedKv:
        """A copy of the row's sequence."""
        staged = StagedKv(self.shape, self.lengths[row])
        staged.keys.copy_(self.keys[:, row, :, : staged.keys.shape[2]])
        staged.values.copy_(self.values[:, row, :, : staged.values.shape[2]])
        staged.length = self.lengths[row]
        return staged

    def leave(self, row: int, last: int) -> None:
        """Frees `row`; the sequence in row `last` moves there. What is left behind is zeroed: a NaN must not stay."""
        before = self.lengths[row]
        length = self.lengths[last] if last != row else 0
        for tensor in (self.keys, self.values):
            if length:
                tensor[:, row, :, :length].copy_(tensor[:, last, :, :length])
            if before > length:
                tensor[:, row, :, length:before].zero_()
            if last != row:
                tensor[:, last, :, :length].zero_()
        self.lengths[row] = length
        self.lengths[last] = 0
        self._shrink()

    @property
    def bytes(self) -> int:
        return (self.keys.numel() + self.values.numel()) * self.keys.element_size()


def _double(have: int, need: int) -> int:
    while have < need:
        have *= 2
    return have
