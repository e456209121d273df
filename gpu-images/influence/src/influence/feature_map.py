"""From the coordinates of all matrices of a checkpoint to a few thousand features that keep inner products.

Where the coordinates fit, each is a feature. Otherwise the x directions with the most energy keep a feature each and
all others are count-sketched (Charikar, Chen and Farach-Colton, 2002; Weinberger et al., arXiv 0902.2206): each goes to
a random feature with a random sign. The sketch is unbiased; the variance of an inner product is about (energy
sketched)^2 / (features it goes to), and x minimises that. Leaving the others out instead costs far more: docs/decisions/030.
"""

from dataclasses import dataclass

import torch

from .rotation import MatrixRotation


@dataclass
class FeatureMap:
    """Per matrix: feature (a * b) int32 and factor (a * b) float32 of each coordinate; width = number of features;
    starts = first feature of each matrix where matrices do not share any, else empty."""

    feature: list[torch.Tensor]
    factor: list[torch.Tensor]
    width: int
    starts: tuple[int, ...] = ()

    def add(self, matrix: int, coordinates: torch.Tensor, out: torch.Tensor) -> None:
        """Adds (rows, a * b) to out (rows, width)."""
        out.index_add_(1, self.feature[matrix], coordinates * self.factor[matrix])


def _signs(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(2, (count,), generator=generator).float() * 2 - 1


def kept_exactly(energy: torch.Tensor, width: int) -> int:
    """x that minimises tail(x)^2 / (width - x), tail(x) = energy outside the x largest; all if they fit."""
    if len(energy) <= width:
        return len(energy)
    largest = energy.sort(descending=True).values
    tail = (largest.sum() - largest.cumsum(0) + largest).clamp_min(0)[:width]
    return int((tail.square() / (width - torch.arange(width))).argmin())


def whitened_map(rotations: list[MatrixRotation], width: int, seed: int) -> FeatureMap:
    """All matrices of a checkpoint together, whitening folded in."""
    energy = torch.cat([r.energy() for r in rotations])
    exact, generator = kept_exactly(energy, width), torch.Generator().manual_seed(seed)
    order = torch.sort(energy, descending=True, stable=True).indices
    feature, sign = torch.empty(len(energy), dtype=torch.int32), torch.ones(len(energy))
    feature[order[:exact]] = torch.arange(exact, dtype=torch.int32)
    rest = len(energy) - exact
    if rest:
        feature[order[exact:]] = torch.randint(exact, width, (rest,), generator=generator, dtype=torch.int32)
        sign[order[exact:]] = _signs(rest, generator)
    sizes = [r.count for r in rotations]
    factor = [s * r.whitening() for s, r in zip(sign.split(sizes), rotations)]
    return FeatureMap(list(feature.split(sizes)), factor, min(width, len(energy)))


def raw_map(rotations: list[MatrixRotation], width: int, seed: int) -> FeatureMap:
    """Each matrix on its own, not whitened: for the gradient dot product and for DataInf's blocks."""
    sizes, generator = [r.count for r in rotations], torch.Generator().manual_seed(seed)
    share = [size if sum(sizes) <= width else max(1, size * width // sum(sizes)) for size in sizes]
    feature, factor, starts, at = [], [], [], 0
    for size, given in zip(sizes, share):
        starts.append(at)
        if size <= given:
            feature.append(torch.arange(at, at + size, dtype=torch.int32))
            factor.append(torch.ones(size))
        else:
            feature.append(torch.randint(at, at + given, (size,), generator=generator, dtype=torch.int32))
            factor.append(_signs(size, generator))
        at += min(size, given)
    return FeatureMap(feature, factor, at, tuple(starts))
