"""Trains LoRA weights on a chosen subset of rows: the counterfactual that scores are held against."""

from dataclasses import dataclass

import torch

from .adapter import Adapter, LoraModule
from .gradients import batch_losses, batches, losses
from .probe import LoraProbe
from .rows import Sequence


@dataclass(frozen=True)
class Schedule:
    """Adam at a constant rate; `steps` batches of `batch_rows` rows, drawn from the subset in a seeded order."""

    steps: int
    batch_rows: int
    learning_rate: float
    seed: int


def draws(count: int, schedule: Schedule) -> list[list[int]]:
    """Batches of positions 0..count-1: one seeded permutation after another. The same for every subset, so that two
    subsets differ by their rows only."""
    generator = torch.Generator().manual_seed(schedule.seed)
    pool: list[int] = []
    out = []
    for _ in range(schedule.steps):
        while len(pool) < schedule.batch_rows:
            pool += torch.randperm(count, generator=generator).tolist()
        out.append(pool[: schedule.batch_rows])
        pool = pool[schedule.batch_rows :]
    return out


def retrain(model: torch.nn.Module, start: Adapter, sequences: list[Sequence], kept: set[int], schedule: Schedule,
            save_at: tuple[int, ...] = ()) -> list[Adapter]:
    """Runs the order drawn over *all* rows and skips the rows outside `kept`, so that a kept row is met at the same
    step in every retraining. The loss is the sum over the kept rows of a batch, divided by batch_rows. Returns the
    adapters after the steps in save_at, then the last."""
    probe = LoraProbe(model, start)
    probe.weights = [(a.clone().requires_grad_(True), b.clone().requires_grad_(True), s) for a, b, s in probe.weights]
    parameters = [p for a, b, _ in probe.weights for p in (a, b)]
    optimizer = torch.optim.Adam(parameters, lr=schedule.learning_rate)
    saved = []
    try:
        for step, batch in enumerate(draws(len(sequences), schedule), 1):
            rows = [sequences[i] for i in batch if i in kept and sequences[i].windows]
            if rows:
                optimizer.zero_grad()
                (batch_losses(model, rows).sum() / schedule.batch_rows).backward()
                optimizer.step()
            if step in save_at:
                saved.append(_snapshot(start, probe))
        saved.append(_snapshot(start, probe))
    finally:
        probe.detach()
    return saved


def _snapshot(start: Adapter, probe: LoraProbe) -> Adapter:
    copies = zip(start.modules, probe.weights)
    return Adapter(tuple(LoraModule(m.name, a.detach().clone(), b.detach().clone(), s) for m, (a, b, s) in copies), "")


def losses_with(model: torch.nn.Module, adapter: Adapter, sequences: list[Sequence], batch_tokens: int) -> torch.Tensor:
    """Mean token loss of each sequence (float64) under the adapter."""
    probe, out = LoraProbe(model, adapter), torch.zeros(len(sequences), dtype=torch.float64)
    try:
        for batch in batches(sequences, batch_tokens):
            out[batch] = torch.tensor(losses(model, [sequences[i] for i in batch]), dtype=torch.float64)
    finally:
        probe.detach()
    return out
