"""PCA without centring over all rows: the directions that are stored. Exact for few rows, else a streaming
randomized SVD with power iterations (Halko, Martinsson and Tropp, arXiv 0909.4061)."""

import torch

from .quantise import Tier

EXACT_ROWS = 4096
OVERSAMPLE = 32
POWER_ITERATIONS = 2
BLOCK = 4096


def principal_components(features: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """features (rows, d). Returns orthonormal columns (d, k), k <= min(count, rows, d), the most energetic first.
    Never centres: a common direction carries influence too."""
    rows, width = features.shape
    count = min(count, rows, width)
    if rows <= EXACT_ROWS:
        return _exact(features, count)
    generator = torch.Generator().manual_seed(seed)
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
    turn = torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :count].float()
    return (basis @ turn).contiguous()


def _exact(features: torch.Tensor, count: int) -> torch.Tensor:
    gram = (features @ features.T).double()
    values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
    values, vectors = values.flip(0), vectors.flip(1)
    count = min(count, max(1, int((values > values[0] * 1e-7).sum())))  # below lies float32's rounding of the Gram matrix
    columns = features.T @ (vectors[:, :count] * values[:count].clamp_min(1e-30).rsqrt()).float()
    # That matrix loses half the digits: make the columns orthonormal again (Cholesky QR, a third of the time of Householder's)
    lower, failed = torch.linalg.cholesky_ex((columns.T @ columns).double())
    if failed:
        return torch.linalg.qr(columns).Q.contiguous()
    return torch.linalg.solve_triangular(lower.float(), columns.T, upper=False).T.contiguous()


def project(features: torch.Tensor, components: torch.Tensor) -> torch.Tensor:
    """(rows, k): features on the components."""
    return torch.cat([block @ components for block in features.split(BLOCK)])


def turned(components: torch.Tensor, kept: tuple[Tier, ...], seed: int) -> torch.Tensor:
    """(d, k) -> (d, stored): the components of each tier turned by a random rotation among themselves. Inner products
    stay; a row's numbers become alike, so that one scale suits them all."""
    generator, parts = torch.Generator().manual_seed(seed), []
    for tier in kept:
        part = components[:, tier.start : tier.start + tier.count]
        drawn = torch.randn(part.shape[1], part.shape[1], generator=generator)
        parts.append(part if tier.bits == 8 else part @ torch.linalg.qr(drawn).Q)
    return torch.cat(parts, 1).contiguous()
