"""Models and adapters of the benchmark: random weights (speed does not depend on what they say), made in memory."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from open_lora.adapters.layout import Site, layout_for
from open_lora.adapters.tiers import ResidentAdapter
from open_lora.adapters.weights import HostAdapter

# 29.5 M parameters, the shape of the pilot
MIDDLE = {
    "vocab_size": 8192, "hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 8,
    "num_attention_heads": 8, "num_key_value_heads": 8, "max_position_embeddings": 512, "tie_word_embeddings": True,
}  # fmt: skip
SMALL = {
    "vocab_size": 384, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.2, "eos_token_id": 1, "bos_token_id": 0,
}  # fmt: skip


def make_model(shape: dict, seed: int, device: str = "cpu") -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**shape)).eval().requires_grad_(False).to(device)


def block_sites(sites: dict[str, Site]) -> frozenset[Site]:
    """What PEFT calls all-linear: every linear map but the LM head."""
    return frozenset(site for path, site in sites.items() if path != "lm_head")


def make_resident(name: str, sites: frozenset[Site], rank: int, like: torch.Tensor, seed: int) -> ResidentAdapter:
    layout = layout_for(rank, sites)
    generator = torch.Generator().manual_seed(seed)
    flat = (torch.randn(layout.length, generator=generator) * 0.02).to(like.dtype)
    return ResidentAdapter(HostAdapter(name, name, layout, flat), flat.to(like.device))
