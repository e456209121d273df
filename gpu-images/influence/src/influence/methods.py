"""The port of the scorers: a method turns the features of all rows into stored row vectors and a map for queries.

Every method scores  query features @ components . row  with helpful positive: training on a row steps along minus its
gradient, so a positive product means that the step lowers the loss of the output.
"""

from dataclasses import dataclass

import torch

from .components import BLOCK, principal_components
from .feature_map import FeatureMap
from .quantise import Quantised
from .rotation import MatrixRotation
from .settings import Settings


@dataclass
class Features:
    """whitened (N, d): all checkpoints side by side. raw (N, d'): the last checkpoint by its raw map, or None where no
    method asked for it; rotations: the last checkpoint's."""

    whitened: torch.Tensor
    raw: torch.Tensor | None
    raw_map: FeatureMap | None
    rotations: list[MatrixRotation]


@dataclass
class RowVectors:
    """reads: "whitened" or "raw", the features that a query is turned into; components (d, k); rows: N of k, as they are
    stored; norms (N): length of each row's vector before truncation."""

    reads: str
    components: torch.Tensor
    rows: Quantised
    norms: torch.Tensor


NEEDS_RAW = ("datainf", "dot")


def _vectors(reads: str, vectors: torch.Tensor, settings: Settings) -> RowVectors:
    components, rows = principal_components(vectors, settings.components, settings.row_bytes, settings.seed)
    return RowVectors(reads, components, rows, torch.linalg.vector_norm(vectors, dim=1))


def ekfac(features: Features, settings: Settings) -> RowVectors:
    """Eigenvalue-corrected Kronecker curvature at every checkpoint (attribution.md B)."""
    return _vectors("whitened", features.whitened, settings)


def dot(features: Features, settings: Settings) -> RowVectors:
    """Plain gradient dot product at the last checkpoint (the rotation is orthogonal, so it changes nothing)."""
    return _vectors("raw", features.raw, settings)


def datainf(features: Features, settings: Settings) -> RowVectors:
    """DataInf (Kwon et al., arXiv 2310.00902, eq. 5) at the last checkpoint, per LoRA matrix:
    h_k = 1/(N lambda) sum_i (g_k - g_i (g_i . g_k) / (lambda + |g_i|^2)), lambda = damping x mean(g^2).
    The swap of inverse and mean is theirs; a test holds it against dense inverses."""
    starts = [*features.raw_map.starts, features.raw_map.width]
    parts = [datainf_block(features.raw[:, a:b], r.damping) for a, b, r in zip(starts, starts[1:], features.rotations)]
    return _vectors("raw", torch.cat(parts, 1), settings)


def datainf_block(gradients: torch.Tensor, damping: float) -> torch.Tensor:
    """(N, d) gradients of one matrix -> (N, d) of h_k. float64 in blocks of rows; O(N d min(N, d)) time and
    O(min(N, d) d) memory beside the result."""
    if gradients.shape[1] == 0 or not damping > 0:
        return torch.zeros_like(gradients)
    count, width = gradients.shape
    if count < width:
        exact = gradients.double()
        weighted = exact / (damping + exact.square().sum(1, keepdim=True))
        return ((exact - (exact @ exact.T) @ weighted / count) / damping).float()
    mixed = torch.zeros(width, width, dtype=torch.float64)
    for block in gradients.split(BLOCK):
        exact = block.double()
        mixed += exact.T @ (exact / (damping + exact.square().sum(1, keepdim=True)))
    inverse = (torch.eye(width, dtype=torch.float64) - mixed / count) / damping
    return torch.cat([(block.double() @ inverse).float() for block in gradients.split(BLOCK)])


METHODS = {"ekfac": ekfac, "datainf": datainf, "dot": dot}
