"""PEFT folders by the thousand: written as stock PEFT writes them, without building a PEFT model for each."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

KINDS = {
    "self_attn.q_proj": ("hidden", "hidden"), "self_attn.k_proj": ("hidden", "kv"), "self_attn.v_proj": ("hidden", "kv"),
    "self_attn.o_proj": ("hidden", "hidden"), "mlp.gate_proj": ("hidden", "wide"), "mlp.up_proj": ("hidden", "wide"),
    "mlp.down_proj": ("wide", "hidden"),
}  # fmt: skip


def write_adapters(root: Path, shape: dict, names: list[str], rank: int, seed: int, scale: float = 0.02) -> None:
    kv = shape["hidden_size"] * shape["num_key_value_heads"] // shape["num_attention_heads"]
    sizes = {"hidden": shape["hidden_size"], "wide": shape["intermediate_size"], "kv": kv}
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": [kind.split(".")[1] for kind in KINDS]}
    for index, name in enumerate(names):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        weights = {}
        for layer in range(shape["num_hidden_layers"]):
            for kind, (inputs, outputs) in KINDS.items():
                prefix = f"base_model.model.model.layers.{layer}.{kind}"
                weights[f"{prefix}.lora_A.weight"] = torch.randn(rank, sizes[inputs], generator=generator) * scale
                weights[f"{prefix}.lora_B.weight"] = torch.randn(sizes[outputs], rank, generator=generator) * scale
        folder = root / "adapters" / name
        folder.mkdir(parents=True)
        save_file(weights, folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text(json.dumps(config))
