"""The port of the scorers: a method turns the features of all rows into stored row vectors and a map for queries.

Every method scores  query_coordinates * scale @ components . row  with helpful positive: training on a row steps
along minus its gradient, so a positive product means that the step lowers the loss of the output.
"""

from dataclasses import dataclass

import torch

from .components import principal_components, project
from .rotation import MatrixRotation
from .settings import Settings


@dataclass
class RowVectors:
    """columns: (start, stop) in the feature coordinates that the method reads; scale (d); components (d, k);
    rows (N, k) float32; norms (N): length of each row's vector before truncation."""

    columns: tuple[int, int]
    scale: torch.Tensor
    components: torch.Tensor
    rows: torch.Tensor
    norms: torch.Tensor


def _norms(features: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch.cat([(block * scale).double().square().sum(1).sqrt().float() for block in features.split(4096)])


def _last_checkpoint(rotations: list[list[MatrixRotation]]) -> tuple[int, int]:
    kept = [sum(r.count for r in checkpoint) for checkpoint in rotations]
    return sum(kept[:-1]), sum(kept)


def ekfac(features: torch.Tensor, rotations: list[list[MatrixRotation]], settings: Settings) -> RowVectors:
    """Eigenvalue-corrected Kronecker curvature at every checkpoint (attribution.md B, EK-4cp-PCA512)."""
    scale = torch.cat([r.whitening() for checkpoint in rotations for r in checkpoint])
    norms = _norms(features, scale)
    everyone = torch.ones(features.shape[0])
    components = principal_components(features, scale, everyone, settings.components, settings.seed)
    return RowVectors((0, features.shape[1]), scale, components, project(features, scale, components), norms)


def dot(features: torch.Tensor, rotations: list[list[MatrixRotation]], settings: Settings) -> RowVectors:
    """Plain gradient dot product at the last checkpoint (the rotation is orthogonal, so it changes nothing)."""
    columns = _last_checkpoint(rotations)
    return _unwhitened(features[:, columns[0] : columns[1]], columns, settings)


def datainf(features: torch.Tensor, rotations: list[list[MatrixRotation]], settings: Settings) -> RowVectors:
    """DataInf (Kwon et al., arXiv 2310.00902, eq. 5) at the last checkpoint, per LoRA matrix:
    h_k = 1/(N lambda) sum_i (g_k - g_i (g_i . g_k) / (lambda + |g_i|^2)), lambda = damping x mean(g^2).
    The swap of inverse and mean is theirs; block_inverse tests hold it against a dense one."""
    columns = _last_checkpoint(rotations)
    last = features[:, columns[0] : columns[1]]
    parts, start = [], 0
    for rotation in rotations[-1]:
        parts.append(datainf_block(last[:, start : start + rotation.count], rotation.damping))
        start += rotation.count
    return _unwhitened(torch.cat(parts, 1), columns, settings)


def datainf_block(gradients: torch.Tensor, damping: float) -> torch.Tensor:
    """(N, d) gradients of one matrix -> (N, d) of h_k. float64 inside; O(N d min(N, d))."""
    if gradients.shape[1] == 0 or not damping > 0:
        return torch.zeros_like(gradients)
    exact = gradients.double()
    weighted = exact / (damping + exact.square().sum(1, keepdim=True))
    if exact.shape[0] < exact.shape[1]:
        correction = (exact @ exact.T) @ weighted
    else:
        correction = exact @ (exact.T @ weighted)
    return ((exact - correction / exact.shape[0]) / damping).float()


def _unwhitened(vectors: torch.Tensor, columns: tuple[int, int], settings: Settings) -> RowVectors:
    scale = torch.ones(vectors.shape[1])
    everyone = torch.ones(vectors.shape[0])
    components = principal_components(vectors, scale, everyone, settings.components, settings.seed)
    return RowVectors(columns, scale, components, project(vectors, scale, components), _norms(vectors, scale))


METHODS = {"ekfac": ekfac, "datainf": datainf, "dot": dot}
