"""Learns one checkpoint's rotations (eigenbases, corrected eigenvalues) and turns all rows into features."""

import torch

from .factors import MatrixFactors
from .feature_map import FeatureMap
from .gradient_source import GradientSource
from .rotation import MatrixRotation, full_rotation
from .settings import Settings


def learn_rotations(source: GradientSource, settings: Settings, checkpoint: int) -> list[MatrixRotation]:
    """Visits the sample for the factors, and it or a part of it for the eigenvalues corrected in their basis. Leaves the
    source turned."""
    shapes = source.probe.shapes()
    seeds = (settings.seed + 1009 * checkpoint + 2 * m for m in range(len(shapes)))
    factors = [MatrixFactors(rank, width, settings, seed) for (rank, width), seed in zip(shapes, seeds)]
    sample = source.sample()
    source.replay(sample, lambda matrix, _rows, gradient: factors[matrix].add(gradient))
    rotations = [full_rotation(f.left.basis(), f.right.basis(), settings.damping * f.mean_square()) for f in factors]
    source.turn(rotations)
    sums = [torch.zeros(r.count, dtype=torch.float64) for r in rotations]

    def add_squares(matrix: int, _rows, coordinates: torch.Tensor) -> None:
        sums[matrix] += coordinates.square().sum(0).cpu().double()

    corrected_by = source.spread(sample)
    source.replay(corrected_by, add_squares)
    for rotation, total in zip(rotations, sums):
        rotation.eigenvalue = (total / max(len(corrected_by), 1)).float()
    return rotations


def write_features(source: GradientSource, targets: list[tuple[FeatureMap, torch.Tensor]]) -> None:
    """Adds the features of every row with a loss, from a turned source, to each (map, out (rows, map.width)); the other
    rows stay zero."""
    batch: list[torch.Tensor] = []  # the rows under way, then their features for each target

    def written() -> None:
        for (_, out), block in zip(targets, batch[1:]):
            out[batch[0]] = block

    def put(matrix: int, rows: torch.Tensor, coordinates: torch.Tensor) -> None:
        if not batch or batch[0] is not rows:
            written()
            # a feature's numbers side by side: adding to them costs a quarter of what it does across rows
            batch[:] = [rows, *(torch.zeros(out.shape[1], len(rows)).T for _, out in targets)]
        for (mapping, _), block in zip(targets, batch[1:]):
            mapping.add(matrix, coordinates.cpu(), block)

    source.replay([i for i, s in enumerate(source.sequences) if s.windows], put)
    written()
