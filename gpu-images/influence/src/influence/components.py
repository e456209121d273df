"""PCA without centring over all rows: the directions that are stored. Exact for few rows, else a streaming
randomized SVD with power iterations (Halko, Martinsson and Tropp, arXiv 0909.4061). With no more rows than components
none are sought: each row is a component.

A query is not turned into these directions but by the map that makes the rows as they are stored, rounded, stand best
for what they were: the least squares of it cost no byte a row (docs/decisions/036)."""

import torch

from .quantise import Quantised, Tier, one_width, quantise, tiers, unpack

EXACT_ROWS = 4096
OVERSAMPLE = 32
POWER_ITERATIONS = 2
BLOCK = 4096
GRAM_BLOCK = 128
RIDGE = 1e-6  # of the mean square of a stored component


def principal_components(features: torch.Tensor, count: int, row_bytes: int, seed: int) -> tuple[torch.Tensor, Quantised]:
    """features F (rows, d). Returns (components (d, k), rows as they are stored), k <= min(count, rows, d), such that
    query @ components @ row stands for query @ features. Never centres: a common direction carries influence too."""
    count = min(count, *features.shape)
    if len(features) <= count and (tier := one_width(count, row_bytes)):
        return _one_each(features, tier)
    stored = quantise(*(_exact if len(features) <= EXACT_ROWS else _streamed)(features, count, row_bytes, seed))
    return _read_by(features, stored), stored


def _one_each(features: torch.Tensor, tier: Tier) -> tuple[torch.Tensor, Quantised]:
    """Row n is component n, and nothing is lost by the rounding. A row's codes stand for `own` in its place and `other`
    elsewhere (below 8 bits none stands for 0), R = (own - other) I + other J, and W^T = R^-1 F by Sherman and Morrison
    (1950)."""
    lengths = torch.linalg.vector_norm(features, dim=1)
    stored = quantise(torch.eye(tier.count) * max(float(lengths.mean()), 1e-30), (tier,))
    first = unpack(stored.codes[:1], stored.scales[:1], stored.unit, stored.tiers)[0]
    own, other = float(first[0]), float(first[-1]) if tier.count > 1 else 0.0
    stored.scales[lengths == 0] = 0
    common = other / (own - other + other * tier.count) * features.sum(0)
    return (features.T - common[:, None]).div_(own - other), stored


def _read_by(features: torch.Tensor, stored: Quantised) -> torch.Tensor:
    """W = F^T R (R^T R + r)^-1, the least |F - R W^T|, R being the stored rows. The ridge r keeps what float16 does to W
    below what it gains."""
    gram = torch.zeros(stored.width, stored.width, dtype=torch.float64)
    for _, rows in stored.blocks():
        gram += rows.double().T @ rows.double()
    gram.diagonal().add_(max(RIDGE * float(gram.diagonal().mean()), 1e-30))
    solve, made = torch.linalg.inv(gram), torch.zeros(features.shape[1], stored.width)
    for start, rows in stored.blocks():
        made.addmm_(features[start : start + len(rows)].T, (rows.double() @ solve).float())
    return made


def _streamed(features: torch.Tensor, count: int, row_bytes: int, seed: int) -> tuple[torch.Tensor, tuple[Tier, ...]]:
    width, generator = features.shape[1], torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(width, min(width, count + OVERSAMPLE), generator=generator)).Q
    for _ in range(POWER_ITERATIONS):
        total = torch.zeros_like(basis)
        for block in features.split(BLOCK):
            total += block.T @ (block @ basis)
        basis = torch.linalg.qr(total).Q
    seen = torch.cat([block @ basis for block in features.split(BLOCK)])
    gram = torch.zeros(basis.shape[1], basis.shape[1], dtype=torch.float64)
    for block in seen.split(BLOCK):
        gram += block.double().T @ block.double()
    kept = tiers(count, row_bytes)
    turn = turned(torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :count], kept, seed).float()
    for block in seen.split(BLOCK):
        block[:, : turn.shape[1]] = block @ turn
    return seen[:, : turn.shape[1]], kept


def _exact(features: torch.Tensor, count: int, row_bytes: int, seed: int) -> tuple[torch.Tensor, tuple[Tier, ...]]:
    """V s, from the eigenvectors V and values s^2 of the Gram matrix."""
    gram = torch.zeros(len(features), len(features))
    for start in range(0, len(features), GRAM_BLOCK):  # the lower triangle, which is all that eigh reads
        end = start + GRAM_BLOCK
        gram[start:end, :end] = features[start:end] @ features[:end].T
    values, vectors = torch.linalg.eigh(gram.double())
    del gram
    count = min(count, max(1, int((values > values[-1] * 1e-7).sum())))  # below lies float32's rounding of the Gram matrix
    kept = tiers(count, row_bytes)
    return turned(vectors[:, -count:].flip(1) * values[-count:].flip(0).clamp_min(1e-30).sqrt(), kept, seed).float(), kept


def turned(columns: torch.Tensor, kept: tuple[Tier, ...], seed: int) -> torch.Tensor:
    """(n, k) -> (n, stored): the columns of each tier turned by a random rotation among themselves. Inner products
    stay; a row's numbers become alike, so that one scale suits them all."""
    generator, parts = torch.Generator().manual_seed(seed), []
    for tier in kept:
        part = columns[:, tier.start : tier.start + tier.count]
        drawn = torch.randn(part.shape[1], part.shape[1], generator=generator, dtype=columns.dtype)
        parts.append(part if tier.bits == 8 else part @ torch.linalg.qr(drawn).Q)
    return torch.cat(parts, 1)
