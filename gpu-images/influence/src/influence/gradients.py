"""Runs sequences through a probe in batches and hands out per-row gradients."""

from collections.abc import Iterator

import torch
from torch.nn import functional

from . import errors
from .probe import LoraProbe, Sink
from .rows import Sequence


def batches(sequences: list[Sequence], max_tokens: int) -> Iterator[list[int]]:
    """Indices grouped so that a padded batch holds at most max_tokens; long rows first, all windows of a row
    together (the row's gradient is whole when the batch ends). The grouping depends on lengths only."""
    longest = lambda i: max(len(w.tokens) for w in sequences[i].windows)
    order = sorted((i for i, s in enumerate(sequences) if s.windows), key=lambda i: (-longest(i), i))
    batch, windows, width = [], 0, 0
    for i in order:
        count = len(sequences[i].windows)
        if batch and (windows + count) * width > max_tokens:
            yield batch
            batch, windows = [], 0
        if not batch:
            width = longest(i)
        batch.append(i)
        windows += count
    if batch:
        yield batch


def _tensors(sequences: list[Sequence], device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(tokens, weights, attention mask, owner row): weights[n, t] multiplies the loss of predicting token t, so that
    the weighted sum over a row's windows is its mean token loss."""
    windows = [(row, w, s.target_count) for row, s in enumerate(sequences) for w in s.windows]
    width = max(len(w.tokens) for _, w, _ in windows)
    tokens = torch.zeros(len(windows), width, dtype=torch.long)
    weights = torch.zeros(len(windows), width)
    mask = torch.zeros(len(windows), width, dtype=torch.long)
    for n, (_, window, total) in enumerate(windows):
        tokens[n, : len(window.tokens)] = torch.tensor(window.tokens)
        mask[n, : len(window.tokens)] = 1
        weights[n, list(window.targets)] = 1.0 / total
    owner = torch.tensor([row for row, _, _ in windows])
    return tokens.to(device), weights.to(device), mask.to(device), owner.to(device)


def _row_losses(model, tokens, weights, mask, owner, rows: int) -> torch.Tensor:
    padded = bool((mask == 0).any())
    logits = model(input_ids=tokens, attention_mask=mask if padded else None, use_cache=False).logits
    picked = weights[:, 1:] > 0
    per_token = functional.cross_entropy(logits[:, :-1][picked].float(), tokens[:, 1:][picked], reduction="none")
    per_window = torch.zeros_like(weights[:, 1:]).masked_scatter(picked, per_token * weights[:, 1:][picked]).sum(1)
    return torch.zeros(rows, device=tokens.device).index_add(0, owner, per_window)


def batch_losses(model, sequences: list[Sequence]) -> torch.Tensor:
    """Mean token loss per sequence (all must have windows), differentiable."""
    device = next(model.parameters()).device
    return _row_losses(model, *_tensors(sequences, device), len(sequences))


def losses(model, sequences: list[Sequence]) -> list[float]:
    """The same without a graph: one forward pass."""
    with torch.no_grad():
        return batch_losses(model, sequences).tolist()


def row_gradients(probe: LoraProbe, sequences: list[Sequence], sink: Sink) -> list[float]:
    """One forward and backward pass. sink(matrix, (rows, rank, width) float32) gets the gradient of each row's mean
    token loss. Returns the losses. Raises gradient_not_finite naming the row."""
    device = next(probe.model.parameters()).device
    tokens, weights, mask, owner = _tensors(sequences, device)
    one_window_each = len(owner) == len(sequences)
    seen: set[int] = set()

    def whole_rows(matrix: int, gradient: torch.Tensor) -> None:
        if matrix in seen:
            raise errors.adapter_unsupported(f"matrix {matrix}: a module that is used twice in one pass")
        seen.add(matrix)
        if not one_window_each:
            empty = torch.zeros(len(sequences), *gradient.shape[1:], device=gradient.device)
            gradient = empty.index_add(0, owner, gradient)
        if not torch.isfinite(gradient.sum()):  # one reduction; nan and inf survive a sum
            bad = int((~torch.isfinite(gradient.flatten(1).sum(1))).nonzero()[0])
            raise errors.gradient_not_finite(sequences[bad].id)
        sink(matrix, gradient)

    probe.sink, (probe.windows, probe.tokens) = whole_rows, tokens.shape
    try:
        with torch.enable_grad():
            per_row = _row_losses(probe.model, tokens, weights, mask, owner, len(sequences))
            for row, value in enumerate(per_row.tolist()):
                if not abs(value) < float("inf"):
                    raise errors.gradient_not_finite(sequences[row].id)
            per_row.sum().backward()
    finally:
        probe.sink = None
    return per_row.tolist()
