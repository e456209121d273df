"""Mean loss of held-out rows with the adapter and without it: what training was worth on rows that it never saw."""

from collections.abc import Iterator

import torch
from peft import PeftModel

from fine_tune.examples import IGNORED, Example


def padded(pieces: list[tuple[list[int], list[int]]], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(ids) for ids, _ in pieces)
    def filled(values: list[int], filler: int) -> list[int]:
        return [*values, *([filler] * (width - len(values)))]
    return {
        "input_ids": torch.tensor([filled(ids, pad) for ids, _ in pieces]),
        "labels": torch.tensor([filled(labels, IGNORED) for _, labels in pieces]),
        "attention_mask": torch.tensor([filled([1] * len(ids), 0) for ids, _ in pieces]),
    }


def batched(pieces: list, size: int) -> Iterator[list]:
    for at in range(0, len(pieces), size):
        yield pieces[at:at + size]


@torch.no_grad()
def mean_loss(model: torch.nn.Module, examples: list[Example], length: int, batch_size: int, pad: int) -> float:
    """Nats per trained token over all windows (each token counts the same)."""
    pieces = sorted((p for e in examples for p in e.windows(length)), key=lambda piece: len(piece[0]))
    total, count = 0.0, 0
    device = next(model.parameters()).device
    for batch in batched(pieces, batch_size):
        inputs = {name: tensor.to(device) for name, tensor in padded(batch, pad).items()}
        labels = inputs.pop("labels")[:, 1:]
        logits = model(**inputs, use_cache=False).logits[:, :-1].float()
        total += torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED,
                                                   reduction="sum").item()
        count += int((labels != IGNORED).sum())
    return total / max(1, count)


def compare(model: PeftModel, examples: list[Example], length: int, batch_size: int, pad: int) -> dict[str, float]:
    """{"eval_loss", "base_eval_loss"}, or {} where nothing was held out."""
    if not any(example.windows(length) for example in examples):
        return {}
    model.eval()
    ours = mean_loss(model, examples, length, batch_size, pad)
    with model.disable_adapter():
        base = mean_loss(model, examples, length, batch_size, pad)
    return {"eval_loss": ours, "base_eval_loss": base}
