"""Per-row gradients of one checkpoint, replayed from memory when they fit and recomputed when they do not."""

from collections.abc import Callable

import torch

from .footprint import keeps_gradients
from .gradients import batches, row_gradients
from .probe import LoraProbe
from .rows import Sequence
from .settings import Settings

RowSink = Callable[[int, torch.Tensor, torch.Tensor], None]


class GradientSource:
    """replay(indices, sink): sink(matrix, row indices, (rows, rank, width)). `losses` fills as rows are visited;
    rows without any target (single tokens) are never visited."""

    def __init__(self, probe: LoraProbe, sequences: list[Sequence], settings: Settings, progress=None):
        self.probe, self.sequences, self.settings = probe, sequences, settings
        self.losses: dict[int, float] = {}
        self.progress = progress or (lambda done: None)
        self.cached = keeps_gradients(probe.shapes(), len(sequences), settings)
        self._cache: list[tuple[int, torch.Tensor, torch.Tensor]] | None = None

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

    def replay(self, indices: list[int], sink: RowSink) -> None:
        if self.cached:
            if self._cache is None:
                self._cache = []
                self._compute(indices, lambda *emitted: self._cache.append(emitted))
            for emitted in self._cache:
                sink(*emitted)
        else:
            self._compute(indices, sink)

    def _compute(self, indices: list[int], sink: RowSink) -> None:
        chosen = [self.sequences[i] for i in indices]
        for batch in batches(chosen, self.settings.batch_tokens):
            rows = [indices[i] for i in batch]
            at = torch.tensor(rows)
            values = row_gradients(self.probe, [self.sequences[i] for i in rows],
                                   lambda matrix, gradient: sink(matrix, at, gradient))
            self.losses.update(zip(rows, values))
            self.progress(len(rows))
