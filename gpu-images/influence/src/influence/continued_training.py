"""Trains a checkpoint on for a few steps on a subset of rows, as the run that it comes from would have: Adam whose
second moments are measured once and stay. (Adam from zero moves every weight by the whole rate at first, whatever the
size of its gradient: a few such steps are noise.)"""

import torch

from .adapter import Adapter, LoraModule
from .gradients import batch_losses
from .probe import LoraProbe
from .retraining import Schedule, draws
from .rows import Sequence


class ContinuedTraining:
    """From one checkpoint on, with one fixed set of rows; `run(kept)` as often as there are subsets."""

    def __init__(self, model: torch.nn.Module, start: Adapter, sequences: list[Sequence], schedule: Schedule):
        self.model, self.start, self.sequences, self.schedule = model, start, sequences, schedule
        self.plan = draws(len(sequences), schedule)
        self.divisors = [m.sqrt() + 1e-8 for m in self._second_moments()]

    def _trainable(self) -> tuple[LoraProbe, list[torch.Tensor]]:
        probe = LoraProbe(self.model, self.start)
        probe.weights = [(a.clone().requires_grad_(True), b.clone().requires_grad_(True), s) for a, b, s in probe.weights]
        return probe, [p for a, b, _ in probe.weights for p in (a, b)]

    def _gradient(self, batch: list[int], parameters: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        loss = batch_losses(self.model, [self.sequences[i] for i in batch]).sum() / self.schedule.batch_rows
        return torch.autograd.grad(loss, parameters)

    def _second_moments(self) -> list[torch.Tensor]:
        """Mean squared gradient over the planned batches of all rows, at the checkpoint."""
        probe, parameters = self._trainable()
        moments = [torch.zeros_like(p) for p in parameters]
        try:
            for batch in self.plan:
                for moment, gradient in zip(moments, self._gradient(batch, parameters)):
                    moment += gradient.square() / len(self.plan)
        finally:
            probe.detach()
        return moments

    def run(self, kept: set[int]) -> Adapter:
        """The planned order without the rows outside `kept`: a kept row is met at the same step in every run."""
        probe, parameters = self._trainable()
        try:
            for batch in ([i for i in batch if i in kept] for batch in self.plan):
                gradients = self._gradient(batch, parameters) if batch else ()
                with torch.no_grad():
                    for parameter, divisor, gradient in zip(parameters, self.divisors, gradients):
                        parameter -= self.schedule.learning_rate * gradient / divisor
            weights = [(a.detach(), b.detach(), s) for a, b, s in probe.weights]
        finally:
            probe.detach()
        return Adapter(tuple(LoraModule(m.name, *w) for m, w in zip(self.start.modules, weights)), "")
