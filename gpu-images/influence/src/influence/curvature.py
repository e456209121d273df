"""Learns one checkpoint's rotation (eigenbases, corrected eigenvalues, kept directions) and projects all rows."""

import torch

from .factors import MatrixFactors
from .gradient_source import GradientSource
from .rotation import MatrixRotation, full_rotation, keep_best
from .settings import Settings


def learn_rotation(source: GradientSource, budget: int, settings: Settings, checkpoint: int) -> list[MatrixRotation]:
    """Two visits of the sample: factors, then eigenvalues corrected in their basis; keeps `budget` directions."""
    shapes = source.probe.shapes()
    seeds = (settings.seed + 1009 * checkpoint + 2 * m for m in range(len(shapes)))
    factors = [MatrixFactors(rank, width, settings, seed) for (rank, width), seed in zip(shapes, seeds)]
    sample = source.sample()
    source.replay(sample, lambda matrix, _rows, gradient: factors[matrix].add(gradient))
    rotations = [full_rotation(f.left.basis(), f.right.basis(), settings.damping * f.mean_square()) for f in factors]
    sums = [torch.zeros(r.left.shape[1], r.right.shape[1], dtype=torch.float64) for r in rotations]

    def add_squares(matrix: int, _rows, gradient: torch.Tensor) -> None:
        rotation = rotations[matrix]
        turned = rotation.left.to(gradient.device).T @ (gradient @ rotation.right.to(gradient.device))
        sums[matrix] += turned.square().sum(0).cpu().double()

    source.replay(sample, add_squares)
    for rotation, total in zip(rotations, sums):
        rotation.eigenvalue = (total / max(len(sample), 1)).flatten().float()
    return keep_best(rotations, budget)


def write_features(source: GradientSource, rotations: list[MatrixRotation], out: torch.Tensor) -> None:
    """Raw coordinates of every row with a loss into out (rows, kept); the other rows stay zero."""
    offsets = [0]
    for rotation in rotations:
        offsets.append(offsets[-1] + rotation.count)

    def put(matrix: int, rows: torch.Tensor, gradient: torch.Tensor) -> None:
        out[rows, offsets[matrix] : offsets[matrix + 1]] = rotations[matrix].coordinates(gradient).cpu()

    everything = [i for i, s in enumerate(source.sequences) if s.windows]
    source.replay(everything, put)
