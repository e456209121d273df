"""Every number of the recipe in one place; written into the store's header, so a store says how it was made."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Settings:
    """Defaults: EK-4cp of attribution.md B with more and narrower components, frozen before the second draw of the
    benchmark.

    components      PCA directions kept per row, at most: as many as 514 bytes hold at 2 bits
    row_bytes       bytes of a stored row: the components share them, at 8, 4 or 2 bits each (quantise.py)
    damping         lambda = damping x mean corrected eigenvalue of that matrix
    features        inner products are kept in this many numbers a row, over all checkpoints, while the components are
                    learned (feature_map.py)
    dense_side      a factor of up to this width is diagonalised in full; a wider one by a Nystroem sketch
    side_rank       eigenvectors kept of a side, the most important ones
    sample_rows     rows that the factors are learned from when the gradients of all rows do not fit cache_bytes
    corrected_rows  rows of that sample by which the eigenvalues are corrected
    cache_bytes     memory for the per-row gradients of one checkpoint
    feature_bytes   memory (or scratch file) for the features of all rows; lowers `features` when exceeded
    batch_tokens    padded tokens in one forward and backward pass
    window_tokens   longest window; never more than the model's context
    """

    components: int = 2040
    row_bytes: int = 514
    damping: float = 0.1
    features: int = 32768
    dense_side: int = 512
    side_rank: int = 128
    sample_rows: int = 1024
    corrected_rows: int = 512
    cache_bytes: int = 1_500_000_000
    feature_bytes: int = 4_000_000_000
    batch_tokens: int = 2048
    window_tokens: int = 2048
    seed: int = 20240607

    def as_dict(self) -> dict:
        return asdict(self)

    def kept_features(self, rows: int) -> int:
        return max(1024, min(self.features, self.feature_bytes // (4 * max(rows, 1))))
