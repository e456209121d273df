"""Per-row gradients of one checkpoint, replayed from memory when they fit and recomputed when they do not."""

from collections.abc import Callable

import torch

from .footprint import keeps_gradients
from .gradients import batches, row_gradients
from .probe import LoraProbe
from .rotation import MatrixRotation
from .rows import Sequence
from .settings import Settings

KEPT_ROWS = 64  # kept gradients lie in blocks of about so many rows: small models spend their time in calls

RowSink = Callable[[int, torch.Tensor, torch.Tensor], None]


class GradientSource:
    """replay(indices, sink): sink(matrix, row indices, (rows, rank, width)), after `turn` (rows, a * b). `losses` fills
    as rows are visited; rows without any target (single tokens) are never visited."""

    def __init__(self, probe: LoraProbe, sequences: list[Sequence], settings: Settings, progress=None):
        self.probe, self.sequences, self.settings = probe, sequences, settings
        self.losses: dict[int, float] = {}
        self.progress = progress or (lambda done: None)
        self.cached = keeps_gradients(probe.shapes(), len(sequences), settings)
        self._cache: list[tuple[int, torch.Tensor, torch.Tensor]] | None = None
        self._rotations: list[MatrixRotation] | None = None

    def sample(self) -> list[int]:
        """Rows that the factors are learned from: all if they fit, else a seeded choice in ascending order."""
        with_loss = [i for i, s in enumerate(self.sequences) if s.windows]
        if self.cached or len(with_loss) <= self.settings.sample_rows:
            return with_loss
        generator = torch.Generator().manual_seed(self.settings.seed)
        chosen = torch.randperm(len(with_loss), generator=generator)[: self.settings.sample_rows]
        return [with_loss[i] for i in sorted(chosen.tolist())]

    def spread(self, sample: list[int]) -> list[int]:
        """The part of a sample that is run again: all of it where the gradients are kept anyway."""
        if self.cached:
            return sample
        return sample[:: max(1, len(sample) // self.settings.corrected_rows)]

    def turn(self, rotations: list[MatrixRotation]) -> None:
        """From here on coordinates are handed out instead of gradients; kept ones are turned once."""
        self._rotations = rotations
        for n, (matrix, rows, gradient) in enumerate(self._cache or ()):
            self._cache[n] = (matrix, rows, rotations[matrix].coordinates(gradient))

    def replay(self, indices: list[int], sink: RowSink) -> None:
        if not self.cached:
            self._compute(indices, sink)
            return
        if self._cache is None:
            self._cache = self._kept(indices)
        for emitted in self._cache:
            sink(*emitted)

    def _kept(self, indices: list[int]) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
        cache, held = [], []  # held: (rows, {matrix: gradient}) of the batches that make the next block

        def close() -> None:
            rows = torch.cat([at for at, _ in held])
            cache.extend((matrix, rows, torch.cat([g[matrix] for _, g in held])) for matrix in held[0][1])
            held.clear()

        def keep(matrix: int, at: torch.Tensor, gradient: torch.Tensor) -> None:
            if not held or held[-1][0] is not at:
                if sum(len(rows) for rows, _ in held) >= KEPT_ROWS:
                    close()
                held.append((at, {}))
            held[-1][1][matrix] = gradient

        self._compute(indices, keep)
        if held:
            close()
        return cache

    def _compute(self, indices: list[int], sink: RowSink) -> None:
        turned = self._rotations
        chosen = [self.sequences[i] for i in indices]
        for batch in batches(chosen, self.settings.batch_tokens):
            rows = [indices[i] for i in batch]
            at = torch.tensor(rows)

            def put(matrix: int, gradient: torch.Tensor) -> None:
                sink(matrix, at, turned[matrix].coordinates(gradient) if turned else gradient)

            values = row_gradients(self.probe, [self.sequences[i] for i in rows], put)
            self.losses.update(zip(rows, values))
            self.progress(len(rows))
