"""Runs sequences through a probe in batches and hands out per-row gradients."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch.nn import functional

from . import errors
from .probe import LoraProbe, Sink
from .rows import Sequence
from .settings import Settings

PASS_TOKENS = Settings.batch_tokens
LONGEST = 1e15  # of a row's gradient: float32 has to hold sums of its square over all rows


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


def _passes(sequences: list[Sequence]) -> list[Sequence]:
    """A lone row of more windows than a pass should take, in pieces; each has the mean loss of its own targets."""
    windows = sequences[0].windows
    step = max(1, PASS_TOKENS // max(len(w.tokens) for w in windows))
    if len(sequences) > 1 or len(windows) <= step:
        return []
    return [replace(sequences[0], windows=windows[at : at + step]) for at in range(0, len(windows), step)]


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


def _logits(model, tokens, mask) -> torch.Tensor:
    padded = bool((mask == 0).any())
    return model(input_ids=tokens, attention_mask=mask if padded else None, use_cache=False).logits


def _ahead(tokens, weights) -> tuple[torch.Tensor, torch.Tensor]:
    """What each position predicts and the weight of that (the last one: nothing): no copy of the logits to shift them."""
    return tokens.roll(-1, 1), weights.roll(-1, 1)


def _by_row(per_token, owner, rows: int) -> torch.Tensor:
    return torch.zeros(rows, device=per_token.device).index_add(0, owner, per_token.sum(1))


def batch_losses(model, sequences: list[Sequence]) -> torch.Tensor:
    """Mean token loss per sequence (all must have windows), differentiable."""
    device = next(model.parameters()).device
    tokens, weights, mask, owner = _tensors(sequences, device)
    (ahead, weight), logits = _ahead(tokens, weights), _logits(model, tokens, mask)
    ahead = ahead.masked_fill(weight == 0, -100)
    per_token = functional.cross_entropy(logits.flatten(0, 1).float(), ahead.flatten(), reduction="none", ignore_index=-100)
    return _by_row(per_token.view_as(weight) * weight, owner, len(sequences))


def _losses_and_slope(logits, tokens, weights, owner, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean token loss of each row, its derivative by the logits): written out, it takes one copy of the logits where
    autograd takes three."""
    ahead, weight = _ahead(tokens, weights)
    slope = logits.float().softmax(-1)
    chance = slope.gather(-1, ahead[..., None])
    per_token = -chance[..., 0].log()
    if not chance.all():  # a chance that rounds to nothing has a logarithm still
        per_token = logits.float().logsumexp(-1) - logits.float().gather(-1, ahead[..., None])[..., 0]
    slope.scatter_add_(-1, ahead[..., None], torch.full_like(chance, -1.0)).mul_(weight[..., None])
    return _by_row((per_token * weight).masked_fill(weight == 0, 0.0), owner, rows), slope.to(logits.dtype)


def losses(model, sequences: list[Sequence]) -> list[float]:
    """The same without a graph: one forward pass, or several of a row that is too long for one."""
    with torch.no_grad():
        if passes := _passes(sequences):
            means = [(part.target_count, float(batch_losses(model, [part]))) for part in passes]
            return [sum(count * mean for count, mean in means) / sequences[0].target_count]
        return batch_losses(model, sequences).tolist()


def row_gradients(probe: LoraProbe, sequences: list[Sequence], sink: Sink) -> list[float]:
    """One forward and backward pass. sink(matrix, (rows, rank, width) float32) gets the gradient of each row's mean
    token loss. Returns the losses. Raises gradient_not_finite naming the row. A row that is too long for one pass takes
    several."""
    if passes := _passes(sequences):
        return [_long_row(probe, passes, sequences[0].target_count, sink)]
    device = next(probe.model.parameters()).device
    tokens, weights, mask, owner = _tensors(sequences, device)
    one_window_each = len(owner) == len(sequences)
    seen: set[int] = set()
    lengths = torch.zeros(len(sequences), device=device)  # nan and inf survive a sum

    def whole_rows(matrix: int, gradient: torch.Tensor) -> None:
        if matrix in seen:
            raise errors.adapter_unsupported(f"matrix {matrix}: a module that is used twice in one pass")
        seen.add(matrix)
        if not one_window_each:
            empty = torch.zeros(len(sequences), *gradient.shape[1:], device=gradient.device)
            gradient = empty.index_add(0, owner, gradient)
        lengths.add_(torch.linalg.vector_norm(gradient, dim=(1, 2)))
        sink(matrix, gradient)

    probe.sink, (probe.windows, probe.tokens) = whole_rows, tokens.shape
    try:
        with torch.enable_grad():
            logits = _logits(probe.model, tokens, mask)
            per_row, slope = _losses_and_slope(logits.detach(), tokens, weights, owner, len(sequences))
            for row, value in enumerate(per_row.tolist()):
                if not abs(value) < float("inf"):
                    raise errors.gradient_not_finite(sequences[row].id)
            logits.backward(slope)
    finally:
        probe.sink = None
    for row in (~(lengths < LONGEST)).nonzero():
        raise errors.gradient_not_finite(sequences[int(row)].id)
    return per_row.tolist()


def _long_row(probe: LoraProbe, passes: list[Sequence], targets: int, sink: Sink) -> float:
    loss, whole = 0.0, {}
    for part in passes:
        share = part.target_count / targets
        (value,) = row_gradients(probe, [part], lambda matrix, gradient: whole.update(
            {matrix: whole.get(matrix, 0.0) + share * gradient}))
        loss += share * value
    for matrix, gradient in whole.items():
        sink(matrix, gradient)
    return loss
