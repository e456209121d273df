"""PCA without centring over all rows: the directions that are stored. Exact for few rows, else a streaming
randomized SVD with power iterations (Halko, Martinsson and Tropp, arXiv 0909.4061)."""

import torch

from .quantise import Tier, tiers

EXACT_ROWS = 4096
OVERSAMPLE = 32
POWER_ITERATIONS = 2
BLOCK = 4096
GRAM_BLOCK = 128


def principal_components(features: torch.Tensor, count: int, row_bytes: int,
                         seed: int) -> tuple[torch.Tensor, torch.Tensor, tuple[Tier, ...]]:
    """features (rows, d). Returns (components (d, k), rows (rows, k), tiers that they are stored at), k <= min(count,
    rows, d), the most energetic first. Never centres: a common direction carries influence too."""
    count = min(count, *features.shape)
    return (_exact if len(features) <= EXACT_ROWS else _streamed)(features, count, row_bytes, seed)


def _streamed(features: torch.Tensor, count: int, row_bytes: int, seed: int):
    width, generator = features.shape[1], torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(width, min(width, count + OVERSAMPLE), generator=generator)).Q
    for _ in range(POWER_ITERATIONS):
        total = torch.zeros_like(basis)
        for block in features.split(BLOCK):
            total += block.T @ (block @ basis)
        basis = torch.linalg.qr(total).Q
    gram = torch.zeros(basis.shape[1], basis.shape[1], dtype=torch.float64)
    for block in features.split(BLOCK):
        seen = (block @ basis).double()
        gram += seen.T @ seen
    kept = tiers(count, row_bytes)
    components = basis @ _turned(torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :count], kept, seed).float()
    return components, torch.cat([block @ components for block in features.split(BLOCK)]), kept


def _exact(features: torch.Tensor, count: int, row_bytes: int, seed: int):
    """From the eigenvectors V and values s^2 of the Gram matrix: components F^T V / s, rows V s. What float32 does to s
    cancels in query . component x row, which stays the product with F V V^T."""
    gram = torch.zeros(len(features), len(features))
    for start in range(0, len(features), GRAM_BLOCK):  # the lower triangle, which is all that eigh reads
        end = start + GRAM_BLOCK
        gram[start:end, :end] = features[start:end] @ features[:end].T
    gram = gram.double()
    values, vectors = torch.linalg.eigh(gram)
    del gram
    count = min(count, max(1, int((values > values[-1] * 1e-7).sum())))  # below lies float32's rounding of the Gram matrix
    kept, values, vectors = tiers(count, row_bytes), values[-count:].flip(0), vectors[:, -count:].flip(1)
    root = values.clamp_min(1e-30).sqrt()
    return features.T @ _turned(vectors / root, kept, seed).float(), _turned(vectors * root, kept, seed).float(), kept


def _turned(columns: torch.Tensor, kept: tuple[Tier, ...], seed: int) -> torch.Tensor:
    """(n, k) -> (n, stored): the columns of each tier turned by a random rotation among themselves. Inner products
    stay; a row's numbers become alike, so that one scale suits them all."""
    generator, parts = torch.Generator().manual_seed(seed), []
    for tier in kept:
        part = columns[:, tier.start : tier.start + tier.count]
        drawn = torch.randn(part.shape[1], part.shape[1], generator=generator, dtype=columns.dtype)
        parts.append(part if tier.bits == 8 else part @ torch.linalg.qr(drawn).Q)
    return torch.cat(parts, 1)
