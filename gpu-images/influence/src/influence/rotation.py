"""The rotation of a matrix's gradients into its Kronecker eigenbasis: what a query needs of the fit."""

from dataclasses import dataclass

import torch


@dataclass
class MatrixRotation:
    """left (rank, a), right (width, b) float32 with values that float16 holds (that is how they are stored, and rows
    and queries must be turned by the same numbers); direction i * b + j is left[:, i] x right[:, j]. eigenvalue (a * b)
    = mean squared coordinate over the rows, damping is one number for the matrix."""

    left: torch.Tensor
    right: torch.Tensor
    eigenvalue: torch.Tensor
    damping: float

    @property
    def count(self) -> int:
        return self.left.shape[1] * self.right.shape[1]

    def whitening(self) -> torch.Tensor:
        """1 / sqrt(e + lambda); 0 where there was no gradient at all."""
        total = self.eigenvalue.double() + self.damping
        return torch.where(total > 0, total.clamp_min(1e-300).rsqrt(), 0.0).float()

    def energy(self) -> torch.Tensor:
        """e / (e + lambda), float64: what a direction adds to the mean squared length of a whitened row."""
        exact = self.eigenvalue.double()
        return torch.where(exact > 0, exact / (exact + self.damping), 0.0)

    def coordinates(self, gradient: torch.Tensor) -> torch.Tensor:
        """(rows, rank, width) -> (rows, a * b): left^T G right."""
        return (self.left.to(gradient.device).T @ (gradient @ self.right.to(gradient.device))).flatten(1)


def full_rotation(left: torch.Tensor, right: torch.Tensor, damping: float) -> MatrixRotation:
    """Eigenvalues still unknown (zero)."""
    return MatrixRotation(left.half().float(), right.half().float(), torch.zeros(left.shape[1] * right.shape[1]), damping)
