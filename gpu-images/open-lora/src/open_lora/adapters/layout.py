"""Where each A and B of an adapter lies in one flat vector.

All adapters of one shape class (rank bucket, set of target modules) share a layout, so that a running batch is one
matrix [rows, length] and the A of a module for the whole batch is one strided view of it: no per-module gather.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch

RANK_BUCKETS = (8, 16, 32, 64, 128, 256)


def rank_bucket(rank: int) -> int | None:
    """The smallest bucket that holds `rank`, or None when it is larger than the largest bucket."""
    return next((bucket for bucket in RANK_BUCKETS if rank <= bucket), None)


@dataclass(frozen=True)
class Site:
    """A linear map of the base model that an adapter may target: x [in] -> y [out]."""

    path: str
    inputs: int
    outputs: int


class AdapterLayout:
    """A is kept as [in, rank], B as [rank, out] with the scaling folded in: neither is transposed by the matmuls."""

    def __init__(self, rank: int, sites: Iterable[Site]):
        self.rank = rank
        self.sites = tuple(sorted(sites, key=lambda site: site.path))
        self.offsets: dict[str, tuple[int, int, Site]] = {}
        at = 0
        for site in self.sites:
            self.offsets[site.path] = (at, at + rank * site.inputs, site)
            at += rank * (site.inputs + site.outputs)
        self.length = at
        self.sizes = [rank * width for site in self.sites for width in (site.inputs, site.outputs)]

    def views(self, flat: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """path -> (A [..., in, rank], B [..., rank, out]) over `flat` [..., length]; views, not copies."""
        lead = flat.shape[:-1]
        out = {}
        for path, (a, b, site) in self.offsets.items():
            width = self.rank * site.inputs
            out[path] = (
                flat[..., a : a + width].view(*lead, site.inputs, self.rank),
                flat[..., b : b + self.rank * site.outputs].view(*lead, self.rank, site.outputs),
            )
        return out


@lru_cache(maxsize=512)
def layout_for(rank: int, sites: frozenset[Site]) -> AdapterLayout:
    """One layout object per shape class: identity of the object is identity of the class."""
    return AdapterLayout(rank, sites)
