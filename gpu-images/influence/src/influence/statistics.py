"""Rank correlation, with mid-ranks for ties."""

import torch


def ranks(values: torch.Tensor) -> torch.Tensor:
    """Ranks 0.. of a vector, float64; equal values share the mean of their ranks."""
    unique, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = torch.cumsum(counts, 0).double()
    return (last - (counts.double() + 1) / 2)[inverse]


def spearman(left: torch.Tensor, right: torch.Tensor) -> float:
    """Spearman's rho; 0 when one side is constant."""
    a, b = ranks(left), ranks(right)
    a, b = a - a.mean(), b - b.mean()
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale > 0 else 0.0


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error (0 for fewer than two values)."""
    exact = torch.tensor(values, dtype=torch.float64)
    if len(values) < 2:
        return (float(exact.mean()) if values else 0.0), 0.0
    return float(exact.mean()), float(exact.std() / len(values) ** 0.5)
