"""The rotation into kept Kronecker directions: what a query needs of the fit, per checkpoint and matrix."""

from dataclasses import dataclass

import torch


@dataclass
class MatrixRotation:
    """left (rank, a), right (width, b): the columns in use; direction k is left[:, row[k]] x right[:, column[k]].
    eigenvalue[k] = mean squared coordinate over the sample, damping is one number for the matrix."""

    left: torch.Tensor
    right: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor
    eigenvalue: torch.Tensor
    damping: float

    @property
    def count(self) -> int:
        return len(self.row)

    def whitening(self) -> torch.Tensor:
        """1 / sqrt(e + lambda); 0 where the sample had no gradient at all."""
        total = self.eigenvalue.double() + self.damping
        return torch.where(total > 0, total.clamp_min(1e-300).rsqrt(), 0.0).float()

    def coordinates(self, gradient: torch.Tensor) -> torch.Tensor:
        """(rows, rank, width) -> (rows, count): the raw coordinates g~ = left^T G right at the kept pairs."""
        if self.count == 0:
            return gradient.new_zeros(gradient.shape[0], 0)
        turned = self.left.to(gradient.device).T @ (gradient @ self.right.to(gradient.device))
        return turned[:, self.row, self.column]


def full_rotation(left: torch.Tensor, right: torch.Tensor, damping: float) -> MatrixRotation:
    """All pairs of both bases, eigenvalues still unknown (zero)."""
    a, b = left.shape[1], right.shape[1]
    pairs = torch.arange(a * b)
    return MatrixRotation(left, right, pairs // b, pairs % b, torch.zeros(a * b), damping)


def keep_best(rotations: list[MatrixRotation], budget: int) -> list[MatrixRotation]:
    """Keeps the `budget` directions with the most whitened energy e / (e + lambda) over all matrices of a
    checkpoint; at equal energy the earlier one. Drops the basis columns that no kept direction uses."""
    energy = torch.cat([
        torch.where(r.eigenvalue > 0, r.eigenvalue.double() / (r.eigenvalue.double() + r.damping), 0.0)
        for r in rotations
    ])
    order = torch.sort(energy, descending=True, stable=True).indices[: max(budget, 1)]
    kept = torch.zeros(len(energy), dtype=torch.bool)
    kept[order] = True
    kept &= energy > 0
    chosen, offset = [], 0
    for rotation in rotations:
        chosen.append(_restrict(rotation, kept[offset : offset + rotation.count].nonzero().flatten()))
        offset += rotation.count
    return chosen


def _restrict(rotation: MatrixRotation, index: torch.Tensor) -> MatrixRotation:
    row, column = rotation.row[index], rotation.column[index]
    rows_used, row_at = torch.unique(row, return_inverse=True)
    columns_used, column_at = torch.unique(column, return_inverse=True)
    return MatrixRotation(rotation.left[:, rows_used].contiguous(), rotation.right[:, columns_used].contiguous(),
                          row_at, column_at, rotation.eigenvalue[index], rotation.damping)
