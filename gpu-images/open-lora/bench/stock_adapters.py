"""PEFT folders by the thousand, saved by stock PEFT: one model, its LoRA weights drawn anew for each."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from shapes import make_model


def stock_peft(shape: dict, rank: int, seed: int) -> PeftModel:
    """The base of `write_base` with one adapter on every linear map but the LM head."""
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(make_model(shape, seed), config).eval()


@torch.no_grad()
def write_adapters(root: Path, shape: dict, names: list[str], rank: int, seed: int, scale: float = 0.02) -> None:
    model = stock_peft(shape, rank, seed)
    drawn = [parameter for name, parameter in model.named_parameters() if "lora_" in name]
    for index, name in enumerate(names):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        for parameter in drawn:
            parameter.normal_(0, scale, generator=generator)
        model.save_pretrained(root / "adapters" / name)
