"""Loads a frozen Hugging Face causal LM and its tokenizer from a local folder; never reaches for the network."""

from dataclasses import dataclass
from pathlib import Path

import torch

from . import errors


@dataclass
class Base:
    model: torch.nn.Module
    tokenizer: object
    context: int
    vocabulary: int


def load_base(folder: Path, device: str = "cpu", need_tokenizer: bool = True) -> Base:
    """float32 on CPU (bfloat16 is slower there and its gradients are coarser), the stored type elsewhere."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # slow import, kept out of --help

    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise errors.base_invalid(f"{folder.name}: config.json is missing")
    try:
        dtype = torch.float32 if device == "cpu" else "auto"
        model, loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True) if need_tokenizer else None
    except Exception as broken:  # of the loaders, a dozen kinds
        raise errors.base_invalid(f"{folder.name}: {(str(broken).splitlines() or [type(broken).__name__])[0]}") from None
    if loaded["missing_keys"]:  # transformers draws them at random, anew at each start
        raise errors.base_invalid(f"{folder.name}: the weights lack {sorted(loaded['missing_keys'])[0]!r}")
    model = model.to(device).eval()
    known = (getattr(model.config, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len"))
    return Base(model, tokenizer, int(next(filter(None, known), 2048)), model.get_input_embeddings().num_embeddings)
