"""Kronecker factors of one checkpoint's gradients and their eigenbases (EK-FAC: George et al., arXiv 1806.03884).

Per matrix: L = sum G G^T over (rank, rank) in float64, R = sum G^T G over (width, width) in float64. A side wider
than `dense_side` is never formed: Y = R Omega is accumulated, and the basis is the single-pass Nystroem
approximation of Tropp et al. (arXiv 1706.05736, algorithm 3).
"""

import torch

from .settings import Settings

OVERSAMPLE = 16
RELATIVE_FLOOR = 1e-6  # blocks are summed in float32: what lies below is rounding


class SideFactor:
    """Accumulates a (width, width) second moment from blocks of vectors; `basis()` gives (width, kept) float32,
    most important eigenvector first."""

    def __init__(self, width: int, settings: Settings, seed: int):
        self.width = width
        self.sketched = width > settings.dense_side
        self.kept = min(settings.side_rank, width)
        self.seed, self._omega = seed, None
        shape = (width, min(width, self.kept + OVERSAMPLE)) if self.sketched else (width, width)
        self.total = torch.zeros(shape, dtype=torch.float64)

    def omega(self) -> torch.Tensor:
        """The sketch's orthonormal test matrix in float32, drawn when first used."""
        if self._omega is None:
            generator = torch.Generator().manual_seed(self.seed)
            self._omega = torch.linalg.qr(torch.randn(self.total.shape, generator=generator)).Q
        return self._omega

    def add(self, vectors: torch.Tensor) -> None:
        """vectors: (count, width) float32."""
        if self.sketched:
            self.total += (vectors.T @ (vectors @ self.omega().to(vectors.device))).cpu()
        else:
            self.total += (vectors.T @ vectors).cpu()

    def basis(self) -> torch.Tensor:
        """Leaves the factor empty: what it held is in the basis."""
        total, self.total = self.total, torch.zeros(0)
        if not self.sketched:
            return torch.linalg.eigh((total + total.T) / 2).eigenvectors.flip(1)[:, : self.kept].float().contiguous()
        omega, self._omega = self._omega.double() if self._omega is not None else None, None
        if omega is None:  # nothing was added
            return torch.eye(self.width, 1)
        gram = omega.T @ total
        values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
        sound = values > values[-1].clamp_min(0) * RELATIVE_FLOOR
        if not sound.any():
            return omega[:, :1].float().contiguous()
        half = total @ (vectors[:, sound] * values[sound].rsqrt())
        return torch.linalg.svd(half, full_matrices=False).U[:, : self.kept].float().contiguous()


class MatrixFactors:
    """Both sides of one LoRA matrix and the mean squared gradient, which gives the damping exactly
    (the mean of all corrected eigenvalues is the mean of all squared entries in any orthonormal basis)."""

    def __init__(self, rank: int, width: int, settings: Settings, seed: int):
        self.rank, self.width = rank, width
        self.left = SideFactor(rank, settings, 2 * seed)
        self.right = SideFactor(width, settings, 2 * seed + 1)
        self.squares = 0.0
        self.rows = 0

    def add(self, gradient: torch.Tensor) -> None:
        """gradient: (rows, rank, width)."""
        self.left.add(gradient.transpose(1, 2).reshape(-1, self.rank))
        self.right.add(gradient.reshape(-1, self.width))
        self.squares += float(gradient.flatten().dot(gradient.flatten()))
        self.rows += gradient.shape[0]

    def mean_square(self) -> float:
        return self.squares / max(self.rows * self.rank * self.width, 1)
